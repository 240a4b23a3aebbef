// The log as a list, live or up to the moment that is looked at, and the dead letters beside it.

import { $, h, onFrame, say } from "../dom.js";
import { ask } from "../net.js";
import { on, ROWS, store } from "../store.js";
import { act } from "../actions.js";
import { openStory } from "./story.js";
import { clock, eventWords, exactClock, iso, number, t } from "../texts/texts.js";

const TYPES = ["job.submitted", "job.dispatched", "job.started", "job.completed", "job.requeued", "job.refused", "job.expired", "job.cancelled",
  "node.registered", "node.offline", "node.expired", "node.recovered", "node.cordoned", "node.uncordoned", "node.drained", "node.retired", "pool.paused", "pool.resumed", "pair.paused", "pair.resumed", "scheduler.configured"];

let filter = "", held = false, frozen = [], found = null, asking = null, last = null;

const atOf = (id) => Number(id.split("-")[0]);

// The names in a row, each of which opens its story.
function names(row) {
  const { job_id: job, node_id: node, session_id: session } = row.fields;
  return [["job", job], ["node", node], ["session", row.type === "job.submitted" || !job ? session : undefined]]
    .filter(([, name]) => name)
    .map(([kind, name]) => h("button", { type: "button", class: `name ${kind}`, title: t("story." + kind), onclick: () => openStory(kind, name) }, name));
}

function item(row) {
  const ms = atOf(row.id);
  return h("li", { class: row.refused ? "refused" : tone(row.type), "data-id": row.id },
    h("time", { datetime: iso(ms), title: `${iso(ms)} · ${row.id}` }, exactClock(ms)),
    h("span", { class: "type" }, row.type),
    h("span", { class: "words" }, row.refused ? h("em", {}, row.refused) : eventWords(row)),
    h("span", { class: "names" }, names(row)));
}

function tone(type) {
  if (["node.expired", "node.offline", "job.exhausted", "job.refused", "job.expired"].includes(type)) return "bad";
  return type === "job.requeued" || type === "job.declined" ? "odd" : "";
}

const draw = onFrame(() => {
  const list = $("log");
  const rows = held ? frozen : filter ? found?.rows ?? [] : store.log;
  const newest = rows.length ? rows[rows.length - 1].id : null;
  // where the list only grew, its new rows are put on top of what is there
  const at = last && rows.length ? rows.findIndex((row) => row.id === last.newest) : -1;
  if (last && last.key === key() && at >= 0) {
    list.prepend(...rows.slice(at + 1).reverse().map(item));
    while (list.children.length > Math.max(ROWS, rows.length)) list.lastChild.remove();
  } else {
    list.replaceChildren(...rows.slice().reverse().map(item));
  }
  last = newest ? { newest, key: key() } : null;
  const more = filter && found && found.behind !== "0-0";
  $("log-more").hidden = !more || held;
  let note = "";
  if (held) note = t("log.held", { n: number(store.log.filter((row) => !frozen.includes(row)).length) });
  else if (!rows.length && filter && found) note = more ? t("log.no_match", { time: clock(atOf(found.behind)) }) : t("log.no_match_all");
  else if (!rows.length && !filter) note = t("log.none");
  say($("log-note"), note);
  say($("log-hold"), t(held ? "log.go_on" : "log.hold"));
  $("log-hold").setAttribute("aria-pressed", String(held));
});

const key = () => `${store.mode} ${store.gen} ${filter} ${held} ${document.documentElement.lang}`;

// With a filter the server searches, so that rare events are found among frequent ones.
async function search(further = false) {
  if (!filter || (asking && !further)) return;
  const wanted = filter, mode = store.mode;
  asking = (async () => {
    try {
      const until = further ? found?.behind : store.at ?? undefined;
      const answer = await ask("log", { match: wanted, at: until, limit: 100 });
      if (wanted !== filter || mode !== store.mode) return;
      found = further ? { rows: [...answer.rows, ...found.rows], behind: answer.behind } : answer;
      last = further ? null : last;
      draw();
    } catch (problem) {
      found = { rows: [], behind: "0-0" };
      draw();
      say($("log-note"), problem.message);
    }
  })();
  await asking;
  asking = null;
  if (wanted !== filter) search();
}

// ---- dead letters ------------------------------------------------------------------------------------------------

const drawLetters = onFrame(() => {
  const letters = store.sections.letters ?? [], all = store.mode === "live" ? store.sections.partition?.open_letters : store.sections.counters?.dead;
  say($("letters-count"), all ? number(all) : "");
  if (!letters.length) { $("letters").replaceChildren(h("li", { class: "empty" }, t("letters.none"))); return; }
  $("letters").replaceChildren(...letters.map((letter) => {
    const ms = atOf(letter.id ?? letter.event);
    const [code, ...reason] = letter.why.split(" ");
    return h("li", { class: "refused" },
      h("time", { datetime: iso(ms), title: `${iso(ms)} · ${letter.event}` }, clock(ms)),
      h("span", { class: "type" }, code),
      h("span", { class: "words" }, reason.join(" ")),
      h("span", { class: "names" }, letter.type, letter.subject ? ` · ${letter.subject}` : "", " ",
        store.operator && store.mode === "live" && letter.id ? [
          letter.retry ? h("button", { type: "button", class: "name", onclick: () => act("retry", letter.id) }, t("act.retry")) : null,
          h("button", { type: "button", class: "name", onclick: () => act("drop", letter.id) }, t("act.drop"))] : null));
  }));
});

export function start() {
  $("log-types").append(...TYPES.map((type) => h("option", { value: type })));
  on("log language", () => { draw(); if (filter && store.mode === "live" && !held) search(); });
  on("mode moment", () => { if (store.mode === "live") { held = false; } if (filter) search(); draw(); });
  on("letters counters partition operator language mode", drawLetters);
  let timer = 0;
  $("log-filter").addEventListener("input", (event) => {
    clearTimeout(timer);
    filter = event.target.value.trim();
    found = last = null;
    held = false;
    draw();
    timer = setTimeout(search, 150);
  });
  $("log-hold").addEventListener("click", () => {
    held = !held;
    frozen = (filter ? found?.rows ?? [] : store.log).slice();
    draw();
  });
  $("log-more").addEventListener("click", () => search(true));
  draw();
  drawLetters();
}
