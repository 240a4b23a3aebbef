// BullMQ on Node.js. Starts are written to the board in batches, from memory: one write a job would be a cost of the measurement.
import fs from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(process.env.NODE_MODULES + "/");
const { Queue, Worker, QueueEvents } = require("bullmq");
const [verb, url, path, mode, ...rest] = process.argv.slice(2);
const { hostname: host, port } = new URL(url);
const connection = { host, port: Number(port), maxRetriesPerRequest: null };
const SLOTS = 4, HEAD = 2 + 2 * SLOTS, CONCURRENCY = 256, HELD = 500, CHUNK = 1000;
const payload = (n) => ({ n, audio: "x".repeat(176) });
const now = () => process.hrtime.bigint();
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

const fd = fs.openSync(path, "r+");
const word = (at) => {
  const found = Buffer.alloc(8);
  fs.readSync(fd, found, 0, 8, at * 8);
  return found.readBigUInt64LE();
};
const write = (at, value) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  fs.writeSync(fd, bytes, 0, 8, at * 8);
};
const room = Number(word(1));

async function enqueue(queue, how, first, count) {
  await queue.add("job", payload(first));
  first += 1;
  count -= 1;
  const began = now(), cpu = process.cpuUsage();
  if (how === "one") {
    for (let n = first; n < first + count; n++) await queue.add("job", payload(n));
  } else {
    for (let start = first; start < first + count; start += CHUNK) {
      const jobs = [];
      for (let n = start; n < Math.min(start + CHUNK, first + count); n++) jobs.push({ name: "job", data: payload(n) });
      await queue.addBulk(jobs);
    }
  }
  const used = process.cpuUsage(cpu);
  return { seconds: Number(now() - began) / 1e9, cpu_s: (used.user + used.system) / 1e6, count };
}

async function pace(queue, rate, count) {
  const began = now();
  for (let n = 0; n < count; n++) {
    const ahead = (n / rate) * 1000 - Number(now() - began) / 1e6;
    if (ahead > 0.5) await sleep(ahead);
    write(HEAD + n, now());
    await queue.add("job", payload(n));
  }
  return { seconds: Number(now() - began) / 1e9 };
}

async function roundtrip(queue, count) {
  const events = new QueueEvents("jobs", { connection });
  await events.waitUntilReady();
  const took = [];
  for (let n = 0; n < count; n++) {
    const began = now();
    const job = await queue.add("job", payload(n));
    await job.waitUntilFinished(events, 10000);
    took.push(Number(now() - began) / 1e6);
  }
  return { ms: took.slice(Math.floor(count / 10)) };
}

async function work(slot) {
  const starts = new BigUint64Array(room);
  let low = room, high = -1, twice = 0n;
  const flush = () => {
    if (high < 0) return;
    fs.writeSync(fd, new Uint8Array(starts.buffer, low * 8, (high - low + 1) * 8), 0, undefined, (HEAD + room * (1 + slot) + low) * 8);
    low = room;
    high = -1;
  };
  setInterval(flush, 3);
  const started = (n) => {
    if (starts[n]) write(2 + SLOTS + slot, ++twice);
    else starts[n] = now();
    if (n < low) low = n;
    if (n > high) high = n;
  };
  const handler = async (job) => {
    started(job.data.n);
    if (mode === "hold") await new Promise(() => {});
    return "done";
  };
  const worker = new Worker("jobs", handler, {
    connection,
    autorun: false,
    concurrency: mode === "hold" ? HELD : CONCURRENCY,
    ...(mode === "plain" ? { removeOnComplete: { count: 0 } } : {}),
  });
  await worker.waitUntilReady();
  write(2 + slot, 1n);
  while (word(0) === 0n) await sleep(1);
  await worker.run();
}

if (verb === "work") await work(Number(rest[0]));
else {
  const queue = new Queue("jobs", { connection });
  await queue.waitUntilReady();
  const said =
    verb === "enqueue" ? await enqueue(queue, rest[0], Number(rest[1]), Number(rest[2]))
    : verb === "pace" ? await pace(queue, Number(rest[0]), Number(rest[1]))
    : await roundtrip(queue, Number(rest[0]));
  console.log(JSON.stringify(said));
  process.exit(0);
}
