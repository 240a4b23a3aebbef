// Words in the reader's language, and times and numbers as that language writes them.

import { kept } from "../dom.js";
import { changed } from "../store.js";
import en from "./en.js";
import zh from "./zh.js";

const TEXTS = { en, zh };
let language = kept.get("language") ?? (navigator.language?.toLowerCase().startsWith("zh") ? "zh" : "en");
if (!TEXTS[language]) language = "en";

export const languageNow = () => language;

// The text of a name, its {placeholders} filled; a text that the language lacks is English.
export function t(name, given = {}) {
  const text = TEXTS[language][name] ?? en[name] ?? name;
  return text.replace(/\{(\w+)\}/g, (whole, key) => (key in given ? String(given[key]) : whole));
}

export const has = (name) => name in TEXTS[language];

export function setLanguage(chosen) {
  language = chosen;
  kept.set("language", chosen);
  translate();
  changed("language");
}

// Fill in the texts of the page itself.
export function translate(root = document) {
  document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
  for (const element of root.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  for (const element of root.querySelectorAll("[data-t-label]")) element.setAttribute("aria-label", t(element.dataset.tLabel));
  for (const element of root.querySelectorAll("[data-t-placeholder]")) element.placeholder = t(element.dataset.tPlaceholder);
}

const locale = () => (language === "zh" ? "zh-CN" : undefined);
const made = new Map();

function format(kind, options) {
  const key = `${language} ${kind} ${JSON.stringify(options)}`;
  if (!made.has(key)) {
    made.set(key, kind === "time" ? new Intl.DateTimeFormat(locale(), options) : new Intl.NumberFormat(locale(), options));
  }
  return made.get(key);
}

const CLOCK = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
export const clock = (ms) => format("time", CLOCK).format(ms);
export const exactClock = (ms) => format("time", { ...CLOCK, fractionalSecondDigits: 3 }).format(ms);
export const dateAndClock = (ms) => format("time", { ...CLOCK, year: "numeric", month: "2-digit", day: "2-digit" }).format(ms);
export const dayAndClock = (ms) => format("time", { ...CLOCK, month: "2-digit", day: "2-digit" }).format(ms);
export const day = (ms) => format("time", { month: "2-digit", day: "2-digit" }).format(ms);
export const iso = (ms) => new Date(ms).toISOString();

export function number(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (Math.abs(value) >= 1e5) return format("number", { notation: "compact", maximumFractionDigits: 1 }).format(value);
  return format("number", { maximumFractionDigits: Math.abs(value) < 10 && !Number.isInteger(value) ? 1 : 0 }).format(value);
}

// A time between two moments as a person says it.
export function span(ms) {
  if (ms === null || ms === undefined) return "–";
  const abs = Math.abs(ms);
  if (abs < 1000) return t("span.ms", { n: number(ms) });
  if (abs < 120e3) return t("span.s", { n: number(Math.round(ms / 100) / 10) });
  if (abs < 7200e3) return t("span.min", { n: number(Math.round(ms / 60e3)) });
  if (abs < 172800e3) return t("span.h", { n: number(Math.round(ms / 360e3) / 10) });
  return t("span.d", { n: number(Math.round(ms / 8640e3) / 10) });
}

// What an event says. English comes from the server, which tells the same story at the terminal.
export function eventWords(row) {
  const name = "event." + row.type;
  if (language === "en" || !has(name)) return row.words;
  const fields = { ...row.fields };
  fields.because = fields.reason ? `：${fields.reason}` : fields.error ? `：${fields.error}` : "";
  if (row.type === "job.dispatched") fields.choice = choiceWords(fields);
  if (fields.cause) fields.cause = causeWords(fields.cause);
  if (row.type === "job.completed") fields.status = t("status." + fields.status);
  if (fields.online) return t(`${name}.${fields.online}`, fields);
  return t(name, fields);
}

function choiceWords(fields) {
  const why = t("why." + fields.why);
  const seen = fields.seen ? t(fields.why === "expected_finish" ? "why.speeds" : "why.seen", { seen: fields.seen }) : "";
  return why + seen + (fields.affinity?.startsWith("broken") ? t("why.broken", { cause: causeWords(fields.affinity.replace("broken: ", "")) }) : "");
}

// The cause of a move, which the scheduler names in a few fixed words.
const causeWords = (cause) => (has("cause." + cause) ? t("cause." + cause) : cause);

// A statement about why, in the reader's language.
export function reasonWords(reason, english) {
  if (language === "en") return english;
  const given = { ...reason.given };
  if ("choice" in given) given.why = choiceWords({ why: given.choice, seen: given.seen, affinity: given.affinity });
  if (given.ts) given.time = dayAndClock(Number(given.ts));
  if ("reason" in given) given.because = given.reason ? `（${given.reason}）` : "";
  if (given.cause) given.cause = causeWords(given.cause);
  if (given.status) given.status = t("status." + given.status);
  return t("reason." + reason.code, given);
}
