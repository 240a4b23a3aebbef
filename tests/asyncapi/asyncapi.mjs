// Parse an AsyncAPI document; print what is wrong with it, one complaint a line, and fail if there is any.
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const { document, diagnostics } = await new Parser().parse(readFileSync(process.argv[2], "utf8"));
const complaints = diagnostics.filter((found) => found.code !== "asyncapi-latest-version");
for (const found of complaints) console.log(`${found.path.join("/")}: ${found.message}`);
process.exitCode = document === undefined || complaints.length > 0 ? 1 : 0;
