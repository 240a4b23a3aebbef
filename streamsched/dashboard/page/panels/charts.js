// The charts: jobs a second, jobs waiting and in hand, and how long a job waits for its node.

import { $, colour, h, onFrame, say } from "../dom.js";
import { LineChart } from "./linechart.js";
import { on, store } from "../store.js";
import { clock, dayAndClock, number, span, t } from "../texts/texts.js";

const CHARTS = {
  flow: { series: ["submitted", "dispatched", "finished", "failed"], rate: true, words: (value) => number(value) },
  queue: { series: ["held", "waiting"], words: (value) => number(value) },
  latency: { series: ["p50", "p99"], words: (value) => span(value), log: true },
};
const made = new Map();

function seriesOf(name) {
  const area = name === "waiting" || name === "held" || name === "finished";
  return {
    stroke: colour(`line-${name}`), width: name === "finished" ? 2 : 1.5,
    fill: area ? colour(`area-${name}`) : undefined,
    dash: name === "submitted" ? [4, 3] : undefined,
  };
}

const longSpan = () => (store.sections.charts?.step_ms ?? 0) * 240 > 12 * 3600e3;
const timeWords = (ms) => (longSpan() ? dayAndClock(ms).slice(0, -3) : clock(ms));

function make(name) {
  const { series, words, log } = CHARTS[name];
  const box = $(name);
  box.replaceChildren();
  const legend = h("p", { class: "legend" });
  const values = new Map();
  for (const one of series) {
    values.set(one, h("b"));
    legend.append(h("span", { class: `key ${one}` }, h("i", { "aria-hidden": "true" }), t("charts." + one), " ", values.get(one)));
  }
  const plot = h("div", { class: "canvas", role: "img", "aria-label": t("charts." + name) });
  box.append(legend, plot);
  const chart = new LineChart(plot, {
    series: series.map(seriesOf), log, timeWords, valueWords: words, muted: colour("muted"), rule: colour("line"),
    font: `11px ${getComputedStyle(document.body).fontFamily}`, onCursor: (at) => readOut(name, at),
  });
  made.set(name, { chart, values });
  fill(name);
}

// Beside each line's name: its value where the cursor is, or the latest one that there is.
function readOut(name, at) {
  const { chart, values } = made.get(name);
  [...values.values()].forEach((element, n) => {
    const line = chart.lines[n];
    const value = at === null ? line.slice(-10).findLast((one) => one !== null) : line[at];
    say(element, value === null || value === undefined ? "–" : CHARTS[name].words(value));
  });
}

function fill(name) {
  const { charts } = store.sections;
  const { series, rate, log } = CHARTS[name];
  const { chart } = made.get(name);
  const end = rate && store.mode === "live" ? -1 : undefined;    // the last step is not over yet
  const scale = rate ? 1000 / charts?.step_ms : 1;
  const line = (values) => values.slice(0, end).map((value) => (value === null ? null : Math.max(log ? 0.1 : 0, value * scale)));
  const there = charts?.ts.length > 0;
  chart.show(there ? charts.ts.slice(0, end) : [], series.map((one) => (there ? line(charts[one]) : [])));
  if (chart.cursor === null) readOut(name, null);
}

const refresh = onFrame(() => { for (const name of made.keys()) fill(name); });
const remake = onFrame(() => {
  for (const name of Object.keys(CHARTS)) { made.get(name)?.chart.destroy(); make(name); }
});

export function start() {
  remake();
  on("charts", refresh);
  on("language theme mode", remake);
}
