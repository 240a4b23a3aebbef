// The line of figures at the top, and the state of the whole in one word.

import { $, h, say } from "../dom.js";
import { on, store } from "../store.js";
import { has, number, span, t } from "../texts/texts.js";

const FIGURES = ["rate", "latency", "waiting", "held", "failed", "nodes", "lag"];
const made = new Map();

function make() {
  for (const name of FIGURES) {
    const value = h("b"), unit = h("span", { class: "unit" }), below = h("small"), label = h("span", { class: "label" });
    made.set(name, { value, unit, below, label, box: h("div", { class: "figure", id: `figure-${name}` }, label, h("p", {}, value, unit), below) });
    $("figures").append(made.get(name).box);
  }
}

function put(name, value, unit, below, alarm = false) {
  const figure = made.get(name);
  say(figure.label, t(name === "lag" && store.mode === "past" ? "figure.folded" : "figure." + name));
  say(figure.value, value);
  say(figure.unit, unit);
  say(figure.below, below);
  figure.box.classList.toggle("alarm", alarm);
}

// A text with a number, which may read differently for none and for one.
const counted = (name, n) => t(has(`${name}_${n}`) ? `${name}_${n}` : name, { n: number(n) });

// The mean of the last few steps of a flow that are over, a second.
function rate(charts, name) {
  const values = charts?.[name];
  if (!values?.length) return null;
  const over = values.slice(-6, -1);
  return over.length ? (over.reduce((sum, one) => sum + one, 0) / over.length) * (1000 / charts.step_ms) : 0;
}

function last(values) {
  return values?.slice(-30).findLast((value) => value !== null) ?? null;
}

function draw() {
  const { counters = {}, charts, partition, health = {}, pairs = [], moment } = store.sections;
  const online = Object.entries(health).reduce((sum, [key, count]) => sum + (key === "x" ? 0 : count), 0);
  const all = online + (health.x ?? 0);
  put("rate", number(rate(charts, "dispatched")), t("figure.per_s"), t("figure.finished", { n: number(rate(charts, "finished")) }));
  put("latency", span(last(charts?.p50)), "", t("figure.p99", { n: span(last(charts?.p99)) }));
  const queues = pairs.filter((row) => row[2]), unserved = queues.some((row) => !row[4]);
  put("waiting", number(counters.waiting), "", counted("figure.delayed", queues.length), unserved);
  put("held", number(counters.held), "", t("figure.submitted", { n: number(counters.submitted) }));
  put("failed", number(counters.failed), "", t("figure.failed_all", { n: number((counters.refused ?? 0) + (counters.expired ?? 0)) }));
  put("nodes", number(health.o ?? 0), "", t("figure.nodes_of", { n: number(all), online: number(online) }), all > 0 && !health.o);
  if (store.mode === "past") {
    put("lag", number(moment?.folded), "", t("figure.dead", { n: number(counters.dead) }));
  } else {
    const workers = partition?.workers ?? 0;
    put("lag", number(partition?.lag), "", counted("figure.workers", workers), (partition?.lag ?? 0) > 1000 || partition?.workers === 0);
  }
}

function condition() {
  const { partition, away } = store.sections;
  let word = "connecting", bad = false;
  if (store.mode === "past") word = "past";
  else if (store.connected && away) [word, bad] = ["away", true];
  else if (store.connected && partition) {
    word = partition.condition;
    bad = word !== "ok";
    if (word === "ok" && partition.workers === 0) [word, bad] = ["idle", true];
    else if (word === "ok" && partition.lag > 1000) [word, bad] = ["lagging", true];
  }
  say($("condition"), t("condition." + word));
  $("condition").className = "pill " + (bad ? "bad" : word);
  say($("where"), partition ? `${partition.namespace}:{${partition.partition}}` : $("where").textContent);
  const trouble = away && store.mode === "live" ? t("trouble.away", { problem: away.problem })
    : !store.connected && store.mode === "live" && store.gen ? t("trouble.lost") : partition?.trouble || (partition?.warnings ?? []).join(" ");
  say($("trouble"), trouble);
  $("trouble").hidden = !trouble;
}

export function start() {
  make();
  on("counters charts partition health pairs moment mode language", draw);
  on("partition away connected mode language", condition);
  draw();
  condition();
}
