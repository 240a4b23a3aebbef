// Language pairs, served or not, and the pools behind them.

import { act } from "../actions.js";
import { $, h, onFrame } from "../dom.js";
import { onlyPool } from "./nodes.js";
import { on, store } from "../store.js";
import { number, t } from "../texts/texts.js";

let view = "pairs", chosen = null;

// An operator can pause a pair or a pool, and resume it.
function pauseButton(what, id, name, paused) {
  if (store.mode !== "live" || !store.operator) return null;
  const action = `${paused ? "resume" : "pause"}_${what}`;
  return h("td", {}, h("button", { type: "button", class: "quiet", "aria-label": `${t("act." + action)}: ${name}`, onclick: () => act(action, id) },
    t(paused ? "pairs.resume" : "pairs.pause")));
}

function pairRows() {
  const pairs = store.sections.pairs ?? [];
  const most = Math.max(1, ...pairs.map((row) => row[2]));
  return pairs.map(([src, tgt, waiting, pools, open, nodes, paused]) => {
    const serves = open && !paused;
    const served = paused ? t("pairs.paused") : open ? t("pairs.nodes", { n: number(nodes) }) : t(pools ? "pairs.no_node" : "pairs.no_pool");
    const bar = h("i", { class: "bar", "aria-hidden": "true" });
    bar.style.width = `${(100 * waiting) / most}%`;
    return h("tr", { class: serves ? "" : waiting ? "unserved waits" : "unserved" },
      h("th", { scope: "row" }, src, h("span", { class: "to" }, " → "), tgt),
      h("td", { class: "right amount" }, waiting ? bar : null, h("span", {}, number(waiting))),
      h("td", {}, h("span", { class: serves ? "" : "tag" }, served)), pauseButton("pair", `${src}:${tgt}`, `${src} → ${tgt}`, paused));
  });
}

function poolRows() {
  return (store.sections.pools ?? []).map(([id, name, languages, members, open, paused]) => h("tr", { class: open && !paused ? "" : "unserved" },
    h("th", { scope: "row" }, h("button", { type: "button", class: "link", "aria-pressed": String(chosen === id),
      onclick: () => { chosen = onlyPool(id); draw(); } }, name || id)),
    h("td", { class: "right" }, paused ? h("span", { class: "tag" }, t("pairs.paused")) : number(open)),
    h("td", { class: "right" }, number(members)),
    h("td", { class: "quiet-text" }, languages.join(" ")), pauseButton("pool", id, name || id, paused)));
}

const draw = onFrame(() => {
  const box = $("pairs");
  const rows = view === "pairs" ? pairRows() : poolRows();
  const heads = view === "pairs" ? ["pairs.pair", "pairs.waiting", "pairs.served"] : ["pools.pool", "pools.open", "pools.members", "pairs.title"];
  const acting = store.mode === "live" && store.operator ? h("th", { scope: "col" }, t("pairs.act")) : null;
  const head = h("tr", {}, heads.map((name) => h("th", { scope: "col" }, t(name))), acting);
  const focused = box.contains(document.activeElement) ? document.activeElement.textContent : null;
  box.replaceChildren(rows.length ? h("table", {}, h("thead", {}, head), h("tbody", {}, rows)) : h("p", { class: "empty" }, t("pairs.none")));
  if (focused) [...box.querySelectorAll("button")].find((button) => button.textContent === focused)?.focus();
  $("as-pairs").setAttribute("aria-pressed", String(view === "pairs"));
  $("as-pools").setAttribute("aria-pressed", String(view === "pools"));
});

export function start() {
  on("pairs pools language operator mode", draw);
  $("as-pairs").addEventListener("click", () => { view = "pairs"; draw(); });
  $("as-pools").addEventListener("click", () => { view = "pools"; draw(); });
  draw();
}
