// The charts: jobs a second, jobs waiting and in hand, and how long a job waits for its node.

import uPlot from "./vendor/uPlot.js";
import { $, colour, h, onFrame, say } from "./dom.js";
import { on, store } from "./store.js";
import { clock, dayAndClock, number, span, t } from "./texts.js";

const CHARTS = {
  flow: { series: ["submitted", "dispatched", "finished", "failed"], rate: true, words: (value) => number(value) },
  queue: { series: ["held", "waiting"], words: (value) => number(value) },
  latency: { series: ["p50", "p99"], words: (value) => span(value), log: true },
};
const made = new Map();

function seriesOf(name) {
  const line = colour(`line-${name}`);
  const area = name === "waiting" || name === "held" || name === "finished";
  return {
    label: name, stroke: line, width: name === "finished" ? 2 : 1.5, spanGaps: true, points: { show: false },
    fill: area ? colour(`area-${name}`) : undefined,
    dash: name === "submitted" ? [4, 3] : undefined,
  };
}

const longSpan = () => (store.sections.charts?.step_ms ?? 0) * 240 > 12 * 3600e3;

// Powers of ten, of which an axis has room for a few.
function decades(u, axis, low, high) {
  const found = [];
  for (let power = Math.ceil(Math.log10(low) - 1e-9); 10 ** power <= high * 1.0001; power++) found.push(10 ** power);
  return found;
}

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
  const axis = { stroke: colour("muted"), font: `11px ${getComputedStyle(document.body).fontFamily}`, grid: { stroke: colour("line"), width: 1 }, ticks: { show: false } };
  const chart = new uPlot({
    width: Math.max(200, plot.clientWidth), height: 150, legend: { show: false }, padding: [8, 16, 0, 0],
    cursor: { points: { size: 6 }, drag: { x: false, y: false }, y: false },
    scales: { x: { time: true }, y: log ? { distr: 3, log: 10, range: (u, low, high) => [Math.max(0.1, Math.min(1, low || 1)), Math.max(10, high || 10)] } : { range: (u, low, high) => [0, Math.max(1, (high || 1) * 1.1)] } },
    axes: [
      { ...axis, size: 26, space: 70, values: (u, ticks) => ticks.map((at) => (longSpan() ? dayAndClock(at * 1000).slice(0, -3) : clock(at * 1000))) },
      { ...axis, size: 52, space: 28, splits: log ? decades : undefined, values: (u, ticks) => ticks.map((value) => (value === null ? "" : words(value))) },
    ],
    series: [{}, ...series.map(seriesOf)],
    hooks: { setLegend: [(u) => readOut(name, u.cursor.idx)] },
  }, [[], ...series.map(() => [])], plot);
  made.set(name, { chart, values, plot });
  fill(name);
}

function readOut(name, at) {
  const { chart, values } = made.get(name) ?? {};
  if (!chart) return;
  let n = 0;
  for (const element of values.values()) {
    const data = chart.data[++n];
    let value = at === null || at === undefined ? null : data[at];
    if (at === null || at === undefined) for (let k = data.length - 1; k >= Math.max(0, data.length - 10) && value === null; k--) value = data[k];
    say(element, value === null || value === undefined ? "–" : CHARTS[name].words(value));
  }
}

function fill(name) {
  const charts = store.sections.charts;
  const { chart } = made.get(name);
  if (!charts?.ts.length) { chart.setData([[], ...CHARTS[name].series.map(() => [])]); readOut(name, null); return; }
  const end = CHARTS[name].rate && store.mode === "live" ? -1 : undefined;    // the last step is not over yet
  const scale = CHARTS[name].rate ? 1000 / charts.step_ms : 1;
  const data = CHARTS[name].series.map((one) => charts[one].slice(0, end).map((value) => (value === null ? null : Math.max(CHARTS[name].log ? 0.1 : 0, value * scale))));
  chart.setData([charts.ts.slice(0, end).map((ms) => ms / 1000), ...data]);
  if (chart.cursor.idx === null || chart.cursor.idx === undefined) readOut(name, null);
}

const refresh = onFrame(() => { for (const name of made.keys()) fill(name); });
const remake = onFrame(() => {
  for (const name of Object.keys(CHARTS)) { made.get(name)?.chart.destroy(); make(name); }
});

export function start() {
  remake();
  on("charts", refresh);
  on("language theme mode", remake);
  const resize = onFrame(() => { for (const { chart, plot } of made.values()) if (plot.clientWidth) chart.setSize({ width: plot.clientWidth, height: 150 }); });
  new ResizeObserver(resize).observe($("flow"));
}
