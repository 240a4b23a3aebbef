// The time bar: the whole history as a track, and any moment of it at the end of a drag.

import { $, colour, h, onFrame, say } from "../dom.js";
import * as net from "../net.js";
import { apply, changed, on, setMode, store } from "../store.js";
import { clock, dateAndClock, day, dayAndClock, exactClock, number, span, t } from "../texts/texts.js";
import { toast } from "../actions.js";

const SPEEDS = [1, 10, 60, 600, 3600];
const KINDS = ["loss", "requeue", "letter"];
const ZOOMS = { all: 0, day: 86400e3, hour: 3600e3, ten: 600e3, minute: 60e3 };

let from = 0, to = 1;            // what the track shows, ms
let moment = null;               // ms that is asked for; null when live
let wanted = null, busy = null;  // the next place to show, and the question under way
let timeline = null, playing = false, dragging = false, stood = 0;

const lastMs = () => Number((store.history?.last ?? "0-0").split("-")[0]);
const firstMs = () => Number((store.history?.first ?? "0-0").split("-")[0]);

// ---- going somewhere ---------------------------------------------------------------------------------------------

// Show a moment: an id, or ms. While an answer is under way only the latest wish is kept.
function go(at) {
  moment = typeof at === "number" ? at : Number(at.split("-")[0]);
  wanted = at;
  store.at = typeof at === "number" ? Math.round(at) : at;
  if (store.mode !== "past") {
    net.leave();
    setMode("past");
  }
  place();
  if (!busy) busy = fetchMoments();
}

function folding(is) {
  $("timebar").classList.toggle("folding", is);
  document.body.classList.toggle("folding", is);
  label();
}

async function fetchMoments() {
  while (wanted !== null && store.mode === "past") {
    const at = wanted;
    wanted = null;
    const slow = setTimeout(() => folding(true), 200);
    try {
      const message = await net.ask("moment", { at: typeof at === "number" ? Math.round(at) : at, gen: store.gen, rev: store.rev });
      if (store.mode === "past") apply(message);
    } catch (problem) {
      if (store.mode === "past" && wanted === null) { toast(t("time.trouble", { why: problem.message }), true); pause(); }
    }
    clearTimeout(slow);
    folding(false);
  }
  busy = null;
}

export function now() {
  if (store.mode === "live") return false;
  pause();
  moment = wanted = store.at = null;
  store.gen = "";
  setMode("live");
  net.follow();
  say($("said"), t("said.live"));
  recentre();
  return true;
}

// ---- playing -----------------------------------------------------------------------------------------------------

function play() {
  if (store.mode === "live") { if (!lastMs()) return; go(Math.max(firstMs(), lastMs() - 60e3)); }
  playing = true;
  stood = performance.now();
  step();
  label();
}

export function pause() {
  if (!playing) return;
  playing = false;
  say($("said"), momentWords());
  label();
}

export const toggle = () => (playing ? pause() : play());

function step() {
  if (!playing) return;
  const at = performance.now();
  if (!busy) {
    moment += (at - stood) * Number($("speed").value);
    stood = at;
    if (moment >= lastMs()) { now(); return; }
    go(moment);
  } else if (at - stood > 250) {
    stood = at - 250;            // a slow answer slows the play down instead of making it jump
  }
  setTimeout(step, 80);
}

export async function jump(back) {
  pause();
  const kind = $("kind").value;
  const at = store.mode === "past" ? store.sections.moment?.id ?? String(Math.round(moment)) : store.history?.last;
  if (!at) return;
  try {
    const found = await net.ask("next", { kind, at, back: back ? 1 : 0 });
    if (!found.id) { toast(t("time.none")); return; }
    go(found.id);
    say($("said"), t("said.past", { time: dateAndClock(Number(found.id.split("-")[0])) }));
  } catch (problem) { toast(problem.message, true); }
}

// ---- the track ---------------------------------------------------------------------------------------------------

function recentre() {
  const first = firstMs(), last = Math.max(first + 1000, lastMs());
  const width = ZOOMS[$("zoom").value];
  if (!width || width >= last - first) [from, to] = [first, last];
  else if (moment === null) [from, to] = [last - width, last];
  else if (moment < from || moment > to || Math.abs(to - from - width) > 1) {
    from = Math.max(first, Math.min(last - width, moment - width / 2));
    to = from + width;
  }
  place();
  readTimeline();
}

let reading = null;
async function readTimeline() {
  if (reading || !store.history || document.hidden) return;
  const asked = `${from} ${to}`;
  reading = net.ask("timeline", { from: Math.floor(from), to: Math.ceil(to) });
  try { timeline = await reading; drawTrack(); } catch { /* the track stays as it was */ }
  reading = null;
  if (asked !== `${from} ${to}` && moment !== null) readTimeline();
}

function place() {
  const slider = $("slider");
  slider.min = from;
  slider.max = to;
  if (!dragging) slider.value = moment ?? to;
  slider.disabled = !store.history?.count || Boolean(store.history.trouble);
  slider.title = store.history?.trouble ? t("time.trouble", { why: store.history.trouble }) : "";
  slider.setAttribute("aria-valuetext", momentWords());
  const share = moment === null ? 1 : Math.max(0, Math.min(1, (moment - from) / (to - from || 1)));
  $("timebar").style.setProperty("--at", share);
  $("timebar").classList.toggle("past", store.mode === "past");
  document.body.classList.toggle("in-past", store.mode === "past");
  label();
}

function momentWords() {
  if (store.mode === "live") return t("time.live");
  const shown = moment ?? store.sections.moment?.ts ?? 0;
  return t("time.at", { time: dateAndClock(shown), n: number(store.sections.moment?.folded) });
}

function label() {
  const play = $("play");
  play.classList.toggle("playing", playing);
  play.setAttribute("aria-label", t(playing ? "time.pause" : "time.play"));
  const kind = t("time." + $("kind").value);
  $("back").setAttribute("aria-label", t("time.back", { kind }));
  $("forth").setAttribute("aria-label", t("time.forth", { kind }));
  $("back").title = t("time.back", { kind });
  $("forth").title = t("time.forth", { kind });
  $("now").disabled = store.mode === "live";
  for (const id of ["play", "back", "forth"]) $(id).disabled = $("slider").disabled;
  const output = $("moment");
  if (store.mode === "live") {
    const read = store.history?.count ? Math.floor((100 * store.history.read) / store.history.count) : 100;
    output.replaceChildren(h("b", {}, t("time.live")), h("small", {}, store.history?.trouble ? t("time.trouble", { why: "" }).trim() : read < 99 ? t("time.reading", { n: read }) : lastMs() ? exactClock(lastMs()).slice(0, 8) : ""));
  } else {
    const shown = moment ?? store.sections.moment?.ts ?? 0;
    output.replaceChildren(h("b", {}, h("span", { class: "day" }, day(shown), " "), clock(shown)), h("small", {}, $("timebar").classList.contains("folding") ? t("time.loading") : t("time.ago", { span: span(Math.max(0, Date.now() - shown)) })));
  }
  const wide = to - from > 20 * 3600e3;
  say($("track-from"), firstMs() ? (wide ? dayAndClock(from) : clock(from)) : "");
  say($("track-to"), firstMs() ? (wide ? dayAndClock(to) : clock(to)) : "");
}

const drawTrack = onFrame(() => {
  const canvas = $("density"), ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth, height = canvas.clientHeight;
  if (!width) return;
  canvas.width = width * ratio;
  canvas.height = height * ratio;
  const context = canvas.getContext("2d");
  context.setTransform(ratio, 0, 0, ratio, 0, 0);
  if (!timeline?.ts?.length) return;
  const x = (ms) => ((ms - from) / (to - from)) * width;
  const most = Math.max(1, ...timeline.events), floor = height - 2, room = height - 14;
  context.fillStyle = colour("track");
  context.beginPath();
  context.moveTo(x(timeline.ts[0]), floor);
  timeline.ts.forEach((ms, n) => {
    const y = floor - room * Math.sqrt(timeline.events[n] / most);
    context.lineTo(x(ms), y);
    context.lineTo(x(ms + timeline.step_ms), y);
  });
  context.lineTo(x(timeline.ts[timeline.ts.length - 1] + timeline.step_ms), floor);
  context.fill();
  for (const [name, top, paint] of [["lost", 0, "offline"], ["requeued", 4, "unwilling"], ["refused", 8, "ink"]]) {
    context.fillStyle = colour(paint);
    timeline.ts.forEach((ms, n) => { if (timeline[name][n]) context.fillRect(x(ms + timeline.step_ms / 2) - 1, top, 2, 3); });
  }
});

// ---- wiring ------------------------------------------------------------------------------------------------------

const option = (value, text) => h("option", { value }, text);

function fillSelects() {
  const [speed, kind, zoom] = [$("speed").value || "10", $("kind").value || "loss", $("zoom").value || "all"];
  $("speed").replaceChildren(...SPEEDS.map((one) => option(one, `${one}×`)));
  $("kind").replaceChildren(...KINDS.map((one) => option(one, t("time." + one))));
  $("zoom").replaceChildren(...Object.keys(ZOOMS).map((one) => option(one, t("time." + one))));
  [$("speed").value, $("kind").value, $("zoom").value] = [speed, kind, zoom];
  label();
}

function keys(event) {
  const size = (to - from) / 200 * (event.shiftKey ? 10 : 1);
  const moves = { ArrowLeft: -size, ArrowDown: -size, ArrowRight: size, ArrowUp: size, PageDown: -20 * size, PageUp: 20 * size };
  if (event.key === "Home") { event.preventDefault(); pause(); go(firstMs()); }
  else if (event.key === "End") { event.preventDefault(); now(); }
  else if (event.key in moves) {
    event.preventDefault();
    pause();
    const at = (moment ?? lastMs()) + moves[event.key];
    if (at >= lastMs()) now(); else { go(Math.max(firstMs(), at)); recentre(); }
  }
}

export function start() {
  fillSelects();
  const slider = $("slider");
  slider.addEventListener("input", () => { dragging = true; pause(); go(Math.max(firstMs(), Math.min(lastMs(), Number(slider.value)))); });
  slider.addEventListener("change", () => {
    dragging = false;
    if (Number(slider.value) >= Math.min(to, lastMs()) - (to - from) / 1000 && to >= lastMs()) now(); else recentre();
    say($("said"), momentWords());
  });
  slider.addEventListener("keydown", keys);
  $("play").addEventListener("click", toggle);
  $("back").addEventListener("click", () => jump(true));
  $("forth").addEventListener("click", () => jump(false));
  $("now").addEventListener("click", now);
  $("zoom").addEventListener("change", recentre);
  $("kind").addEventListener("change", label);
  on("history", () => {
    if (!store.sections.history) return;
    const began = !store.history;
    store.history = store.sections.history;      // kept beside the board: a moment of the past has none of its own
    if (store.mode === "live" || began) recentre();
  });
  on("moment", () => { if (store.sections.moment && store.mode === "past" && !dragging && wanted === null) { moment = moment ?? store.sections.moment.ts; place(); if (moment > to || moment < from) recentre(); } });
  on("mode", place);
  on("language", () => { fillSelects(); place(); });
  on("theme", drawTrack);
  new ResizeObserver(drawTrack).observe($("density"));
  setInterval(() => { if (store.mode === "live") readTimeline(); else label(); }, 5000);
  changed("mode");
}
