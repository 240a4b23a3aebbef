// Language pairs, served or not, and the pools behind them.

import { $, h, onFrame } from "./dom.js";
import { onlyPool } from "./nodes.js";
import { on, store } from "./store.js";
import { number, t } from "./texts.js";

let view = "pairs", chosen = null;

function pairRows() {
  const pairs = store.sections.pairs ?? [];
  const most = Math.max(1, ...pairs.map((row) => row[2]));
  return pairs.map(([src, tgt, waiting, pools, open, nodes]) => {
    const served = open ? t("pairs.nodes", { n: number(nodes) }) : t(pools ? "pairs.no_node" : "pairs.no_pool");
    const bar = h("i", { class: "bar", "aria-hidden": "true" });
    bar.style.width = `${(100 * waiting) / most}%`;
    return h("tr", { class: open ? "" : waiting ? "unserved waits" : "unserved" },
      h("th", { scope: "row" }, src, h("span", { class: "to" }, " → "), tgt),
      h("td", { class: "right amount" }, waiting ? bar : null, h("span", {}, number(waiting))),
      h("td", {}, h("span", { class: open ? "" : "tag" }, served)));
  });
}

function poolRows() {
  return (store.sections.pools ?? []).map(([id, name, languages, members, open]) => h("tr", { class: open ? "" : "unserved" },
    h("th", { scope: "row" }, h("button", { type: "button", class: "link", "aria-pressed": String(chosen === id),
      onclick: () => { chosen = onlyPool(id); draw(); } }, name || id)),
    h("td", { class: "right" }, number(open)),
    h("td", { class: "right" }, number(members)),
    h("td", { class: "quiet-text" }, languages.join(" "))));
}

const draw = onFrame(() => {
  const box = $("pairs");
  const rows = view === "pairs" ? pairRows() : poolRows();
  const heads = view === "pairs" ? ["pairs.pair", "pairs.waiting", "pairs.served"] : ["pools.pool", "pools.open", "pools.members", "pairs.title"];
  const head = h("tr", {}, heads.map((name) => h("th", { scope: "col" }, t(name))));
  const focused = box.contains(document.activeElement) ? document.activeElement.textContent : null;
  box.replaceChildren(rows.length ? h("table", {}, h("thead", {}, head), h("tbody", {}, rows)) : h("p", { class: "empty" }, t("pairs.none")));
  if (focused) [...box.querySelectorAll("button")].find((button) => button.textContent === focused)?.focus();
  $("as-pairs").setAttribute("aria-pressed", String(view === "pairs"));
  $("as-pools").setAttribute("aria-pressed", String(view === "pools"));
});

export function start() {
  on("pairs pools language", draw);
  $("as-pairs").addEventListener("click", () => { view = "pairs"; draw(); });
  $("as-pools").addEventListener("click", () => { view = "pools"; draw(); });
  draw();
}
