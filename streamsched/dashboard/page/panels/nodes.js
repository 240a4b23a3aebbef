// The nodes: a grid drawn on canvases, one for each combination of pools, and the same as a list.

import { $, colour, h, onFrame, say } from "../dom.js";
import { on, store, touched } from "../store.js";
import { number, t } from "../texts/texts.js";
import { openStory } from "./story.js";

const HEALTHS = ["o", "f", "n", "c", "x"];
const GROUPS = 40;      // combinations of pools with a canvas of their own
const LISTED = 100;

let view = "grid", shown = new Set(HEALTHS), wanted = "", pool = null;
let groups = [];        // {key, sets, rows, canvas, columns, heading}
let cell = 14, gap = 3;
let cursor = null;      // {group, at}: where the keyboard is
const paints = {};

// Pools are named by their id in a node's row; the reader knows them by name.
let names = new Map();
const poolNames = (set) => (store.nodes.sets[set] ?? []).map((id) => names.get(id) || id);

function learnNames() {
  const latest = new Map((store.sections.pools ?? []).map(([id, name]) => [id, name]));
  const same = latest.size === names.size && [...latest].every(([id, name]) => names.get(id) === name);
  names = latest;
  return !same;
}

// ---- layout -------------------------------------------------------------------------------------------------------

function sizes(count) {
  if (count <= 400) return [18, 4];
  if (count <= 1500) return [13, 3];
  if (count <= 5000) return [10, 2];
  return [7, 1];
}

function arrange() {
  const { ids, pools } = store.nodes;
  const bySet = new Map();
  for (let n = 0; n < ids.length; n++) {
    if (!bySet.has(pools[n])) bySet.set(pools[n], []);
    bySet.get(pools[n]).push(n);
  }
  let found = [...bySet].map(([set, rows]) => ({ name: poolNames(set).join(" + "), rows }));
  found.sort((a, b) => b.rows.length - a.rows.length || (a.name < b.name ? -1 : 1));
  if (found.length > GROUPS) {
    const others = found.splice(GROUPS - 1);
    found.push({ name: t("nodes.others", { n: others.length }), rows: others.flatMap((one) => one.rows) });
  }
  found.sort((a, b) => (a.name < b.name ? -1 : 1));
  for (const group of found) group.rows.sort((a, b) => (ids[a] < ids[b] ? -1 : 1));
  [cell, gap] = sizes(ids.length);
  groups = found;
  build();
}

function build() {
  const grid = $("grid");
  grid.replaceChildren();
  cursor = null;
  if (!groups.length) {
    grid.append(h("p", { class: "empty" }, t("nodes.none")));
    return;
  }
  for (const group of groups) {
    group.canvas = h("canvas", { class: "cells", "aria-hidden": "true" });
    group.count = h("span", { class: "count" });
    group.box = h("section", { class: "group" }, h("h3", {}, h("span", { title: group.name }, group.name || t("nodes.no_pool")), group.count), group.canvas);
    grid.append(group.box);
  }
  measure();
}

function measure() {
  const width = $("grid").clientWidth - 2;
  if (width <= 0) return;
  const ratio = window.devicePixelRatio || 1, pitch = cell + gap;
  const most = Math.max(1, Math.floor((width + gap) / pitch));
  for (const group of groups) {
    // a block about twice as wide as high, so that several stand side by side
    group.columns = Math.min(most, group.rows.length, Math.max(Math.ceil(Math.sqrt(group.rows.length * 2.2)), Math.ceil(110 / pitch)));
    const wide = group.columns * pitch - gap, height = Math.ceil(group.rows.length / group.columns) * pitch;
    group.canvas.width = Math.ceil(wide * ratio);
    group.canvas.height = Math.ceil(height * ratio);
    group.canvas.style.width = `${wide}px`;
    group.canvas.style.height = `${height}px`;
    group.box.style.maxWidth = `${Math.min(width, Math.max(wide, 150))}px`;
    group.at = new Map(group.rows.map((row, at) => [row, at]));
    const context = group.context = group.canvas.getContext("2d");
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
  }
  paintAll();
}

// ---- painting -----------------------------------------------------------------------------------------------------

function readPaints() {
  for (const name of ["load-0", "load-1", "load-2", "load-3", "load-4", "full", "unwilling", "cordoned", "offline", "ink", "surface", "accent"]) {
    paints[name] = colour(name);
  }
}

const loadOf = (held) => (held === 0 ? 0 : held <= 1 ? 1 : held <= 3 ? 2 : held <= 8 ? 3 : 4);

function visible(row) {
  const { ids, health, pools, sets } = store.nodes;
  return shown.has(health[row]) && (!wanted || ids[row].toLowerCase().includes(wanted))
    && (!pool || (sets[pools[row]] ?? []).includes(pool));
}

// Health shows in the shape as well as in the colour: filled, ring, bar, cross.
function paint(group, at) {
  const row = group.rows[at], context = group.context, pitch = cell + gap;
  const x = (at % group.columns) * pitch, y = Math.floor(at / group.columns) * pitch;
  const health = store.nodes.health[row];
  context.clearRect(x - 1, y - 1, pitch, pitch);
  context.globalAlpha = visible(row) ? 1 : 0.12;
  const round = cell > 9 ? 3 : 1;
  const box = (inset, fill) => {
    context.beginPath();
    context.roundRect(x + inset, y + inset, cell - 2 * inset, cell - 2 * inset, round);
    if (fill) { context.fillStyle = fill; context.fill(); }
  };
  if (health === "o") box(0, paints[`load-${loadOf(store.nodes.held[row])}`]);
  else if (health === "f") box(0, paints.full);
  else if (health === "n" || health === "x") {
    box(0.75);
    context.lineWidth = 1.5;
    context.strokeStyle = health === "n" ? paints.unwilling : paints.offline;
    context.stroke();
    if (health === "x" && cell > 6) stroke(context, x + cell * 0.3, y + cell * 0.7, x + cell * 0.7, y + cell * 0.3);
  } else {
    box(0, paints.cordoned);
    context.fillStyle = paints.surface;
    context.fillRect(x + cell * 0.2, y + cell * 0.42, cell * 0.6, Math.max(1, cell * 0.16));
  }
  context.globalAlpha = 1;
  if (cursor && cursor.group === group && cursor.at === at && document.activeElement === $("grid")) {
    context.lineWidth = 2;
    context.strokeStyle = paints.ink;
    context.strokeRect(x, y, cell, cell);
  }
}

function stroke(context, x1, y1, x2, y2) {
  context.beginPath();
  context.moveTo(x1, y1);
  context.lineTo(x2, y2);
  context.stroke();
}

function paintAll() {
  for (const group of groups) {
    if (!group.context) continue;
    group.context.clearRect(0, 0, group.canvas.width, group.canvas.height);
    for (let at = 0; at < group.rows.length; at++) paint(group, at);
  }
  counts();
}

function counts() {
  const { health } = store.nodes;
  for (const group of groups) {
    const open = group.rows.reduce((sum, row) => sum + (health[row] === "o"), 0);
    say(group.count, t("nodes.open_of", { open: number(open), all: number(group.rows.length) }));
  }
  drawHealth();
}

// ---- health as filter ---------------------------------------------------------------------------------------------

function drawHealth() {
  const totals = store.sections.health ?? {};
  const box = $("health");
  if (!box.children.length) {
    for (const key of HEALTHS) {
      box.append(h("button", { type: "button", class: `chip ${key}`, "data-health": key, onclick: () => toggle(key) },
        h("i", { "aria-hidden": "true" }), h("span"), h("b")));
    }
  }
  for (const button of box.children) {
    const key = button.dataset.health;
    say(button.children[1], t("health." + key));
    say(button.children[2], number(totals[key] ?? 0));
    button.setAttribute("aria-pressed", String(shown.has(key)));
  }
}

function toggle(key) {
  if (shown.size === HEALTHS.length) shown = new Set([key]);
  else if (shown.has(key)) shown.delete(key);
  else shown.add(key);
  if (!shown.size) shown = new Set(HEALTHS);
  redraw();
}

export function onlyPool(chosen) {
  pool = pool === chosen ? null : chosen;
  redraw();
  return pool;
}

// ---- list ---------------------------------------------------------------------------------------------------------

function drawList() {
  const { ids, health, held, pools } = store.nodes;
  const found = [];
  for (let n = 0; n < ids.length; n++) if (visible(n)) found.push(n);
  found.sort((a, b) => (ids[a] < ids[b] ? -1 : 1));
  const rows = found.slice(0, LISTED).map((n) => h("tr", {},
    h("td", {}, h("button", { type: "button", class: "link", onclick: () => openStory("node", ids[n]) }, ids[n])),
    h("td", {}, h("span", { class: `chip still ${health[n]}` }, h("i", { "aria-hidden": "true" }), t("health." + health[n]))),
    h("td", { class: "right" }, number(held[n])),
    h("td", {}, poolNames(pools[n]).join(", "))));
  const head = h("tr", {}, ...["nodes.node", "nodes.state", "nodes.held", "nodes.pools"].map((name) => h("th", { scope: "col" }, t(name))));
  const note = found.length > LISTED ? t("nodes.more", { n: number(found.length - LISTED) }) : found.length ? "" : t(ids.length ? "nodes.no_match" : "nodes.none");
  $("node-list").replaceChildren(h("table", {}, h("thead", {}, head), h("tbody", {}, rows)), h("p", { class: "empty" }, note));
}

// ---- pointing -----------------------------------------------------------------------------------------------------

function under(event) {
  const group = groups.find((one) => one.canvas === event.target);
  if (!group) return null;
  const box = group.canvas.getBoundingClientRect(), pitch = cell + gap;
  const column = Math.floor((event.clientX - box.left) / pitch), line = Math.floor((event.clientY - box.top) / pitch);
  const at = line * group.columns + column;
  return column < group.columns && at < group.rows.length ? { group, at } : null;
}

const words = (row) => t("nodes.tip", { id: store.nodes.ids[row], health: t("health." + store.nodes.health[row]), held: store.nodes.held[row] });

function showTip(found, x, y) {
  const tip = $("tip");
  tip.hidden = !found;
  if (!found) return;
  say(tip, words(found.group.rows[found.at]));
  const card = $("nodes").getBoundingClientRect();
  tip.style.left = `${Math.min(x - card.left + 12, card.width - tip.offsetWidth - 12)}px`;
  tip.style.top = `${y - card.top + 16}px`;
}

function moveCursor(key) {
  if (!groups.length) return;
  if (!cursor) cursor = { group: groups[0], at: 0 };
  else {
    const before = cursor, group = before.group;
    let at = before.at + { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -group.columns, ArrowDown: group.columns }[key];
    const number = groups.indexOf(group);
    if (at < 0 && number > 0) cursor = { group: groups[number - 1], at: groups[number - 1].rows.length - 1 };
    else if (at >= group.rows.length && number < groups.length - 1) cursor = { group: groups[number + 1], at: 0 };
    else cursor = { group, at: Math.max(0, Math.min(group.rows.length - 1, at)) };
    paint(before.group, before.at);
  }
  paint(cursor.group, cursor.at);
  say($("said"), words(cursor.group.rows[cursor.at]));
  const box = cursor.group.canvas.getBoundingClientRect(), pitch = cell + gap;
  const x = box.left + (cursor.at % cursor.group.columns) * pitch, y = box.top + Math.floor(cursor.at / cursor.group.columns) * pitch;
  const grid = $("grid").getBoundingClientRect();
  if (y < grid.top) $("grid").scrollTop -= grid.top - y + 30;
  else if (y + pitch > grid.bottom) $("grid").scrollTop += y + pitch - grid.bottom + 10;
  showTip(cursor, x, y);
}

// ---- wiring -------------------------------------------------------------------------------------------------------

const redraw = onFrame(() => {
  if (view === "list") { drawList(); drawHealth(); } else paintAll();
});

let stale = true, dirty = new Set();
const refresh = onFrame(() => {
  if (view === "list") { drawList(); drawHealth(); return; }
  if (stale) { stale = false; dirty.clear(); arrange(); return; }
  for (const row of dirty) {
    const group = groups.find((one) => one.at?.has(row));
    if (group) paint(group, group.at.get(row));
  }
  dirty.clear();
  counts();
});

function setView(chosen) {
  view = chosen;
  $("grid").hidden = view !== "grid";
  $("node-list").hidden = view !== "list";
  $("as-grid").setAttribute("aria-pressed", String(view === "grid"));
  $("as-list").setAttribute("aria-pressed", String(view === "list"));
  if (view === "grid" && stale) refresh(); else redraw();
}

export function start() {
  readPaints();
  on("nodes", () => {
    if (touched === null) stale = true; else for (const row of touched) dirty.add(row);
    refresh();
  });
  on("pools", () => { if (learnNames()) { stale = true; refresh(); } });
  on("health", drawHealth);
  on("language", () => { stale = true; refresh(); });
  on("theme", () => { readPaints(); redraw(); });
  new ResizeObserver(onFrame(() => view === "grid" && measure())).observe($("grid"));
  const grid = $("grid");
  grid.addEventListener("mousemove", (event) => showTip(under(event), event.clientX, event.clientY));
  grid.addEventListener("mouseleave", () => showTip(null));
  grid.addEventListener("click", (event) => {
    const found = under(event);
    if (found) openStory("node", store.nodes.ids[found.group.rows[found.at]]);
  });
  grid.addEventListener("keydown", (event) => {
    if (event.key.startsWith("Arrow")) { event.preventDefault(); moveCursor(event.key); }
    else if (event.key === "Enter" && cursor) openStory("node", store.nodes.ids[cursor.group.rows[cursor.at]]);
  });
  grid.addEventListener("blur", () => { if (cursor) paint(cursor.group, cursor.at); showTip(null); });
  $("node-find").addEventListener("input", (event) => { wanted = event.target.value.trim().toLowerCase(); redraw(); });
  $("node-find").addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !wanted) return;
    const { ids } = store.nodes;
    const best = ids.find((id) => id.toLowerCase() === wanted) ?? ids.find((id) => id.toLowerCase().includes(wanted));
    if (best) openStory("node", best);
  });
  $("as-grid").addEventListener("click", () => setView("grid"));
  $("as-list").addEventListener("click", () => setView("list"));
  setView("grid");
}
