// The drawer: everything about one job, node or session at the moment that is looked at.

import { $, h } from "../dom.js";
import { act, operator as signIn } from "../actions.js";
import { ask } from "../net.js";
import { on, store } from "../store.js";
import { dateAndClock, day, dayAndClock, eventWords, exactClock, iso, number, reasonWords, span, t } from "../texts/texts.js";

let open = null, came = null, asked = 0;

const HIDDEN = ["payload_json", "result_json", "cap_json", "load_json"];
const ENDED = ["finished", "failed", "cancelled", "expired", "refused"];

export function openStory(kind, id) {
  if (!open) came = document.activeElement;
  open = { kind, id, details: null, problem: null };
  draw();
  $("story").focus();
  read();
}

export function closeStory() {
  if (!open) return false;
  open = null;
  $("story").hidden = true;
  document.body.classList.remove("with-story");
  came?.focus?.();
  return true;
}

async function read() {
  if (!open) return; // closed while an action of its was under way
  const mine = ++asked, { kind, id } = open;
  try {
    const details = await ask("about", { kind, id, at: store.at ?? undefined });
    if (mine !== asked || !open) return;
    Object.assign(open, { details, problem: null });
  } catch (problem) {
    if (mine !== asked || !open) return;
    Object.assign(open, { problem: problem.message, details: null });
  }
  draw();
}

const link = (kind, id) => h("button", { type: "button", class: `name ${kind}`, onclick: () => openStory(kind, id) }, id);

function value(name, text) {
  if (name === "session_id") return link("session", text);
  if (name === "node_id") return link("node", text);
  if (name === "last_job") return link("job", text);
  if (name === "status") return t("status." + text);
  if (name.endsWith("_ts") && Number(text) > 1e11) return dateAndClock(Number(text));
  return Array.isArray(text) ? text.join(", ") : String(text);
}

function facts(state) {
  const rows = Object.entries(state).filter(([name, text]) => text !== "" && text !== null && text !== false
    && !HIDDEN.includes(name) && !(Array.isArray(text) && !text.length) && !["job_id", "submit_id", "timer"].includes(name)
    && !(open.kind === "node" && name === "node_id"));
  const private_ = HIDDEN.filter((name) => state[name]).map((name) => h("details", {}, h("summary", {}, name), h("pre", {}, String(state[name]).slice(0, 4000))));
  return [h("dl", {}, rows.map(([name, text]) => [h("dt", {}, t("field." + name).replace(/^field\./, "")), h("dd", {}, value(name, text))]).flat()), ...private_];
}

function why(details) {
  const { why } = details;
  if (!why) return null;
  const pools = why.pools.map((pool) => h("div", { class: "against" },
    h("h4", {}, t(pool.paused ? "story.pool_paused" : "story.pool", { pool: pool.pool_id, n: number(pool.members_total) })),
    h("ul", {}, pool.members.map((member) => h("li", {}, link("node", member.node_id), " ",
      member.reasons.length ? member.reasons.map((reason, n) => reasonWords(reason, member.against[n])).join("; ") : t("story.may"))),
    pool.members_total > pool.members.length ? h("li", {}, t("story.members_more", { n: number(pool.members_total - pool.members.length) })) : null)));
  return h("section", { class: "why" }, h("h3", {}, t(why.status === "waiting" ? "story.why_waiting" : "story.why")),
    h("p", { class: "answer" }, reasonWords(why.reason, why.summary)), pools);
}

function steps(details) {
  const earlier = details.steps_total - details.steps.length;
  return h("section", {}, h("h3", {}, t("story.story")),
    earlier > 0 ? h("p", { class: "quiet-text" }, t("story.more", { n: number(earlier) })) : null,
    details.steps.length ? h("ol", { class: "steps" }, details.steps.map((step) => h("li", { class: step.refused ? "refused" : "" },
      h("span", { class: "when" }, h("time", { datetime: iso(step.ts), title: `${iso(step.ts)} · ${step.id}` }, exactClock(step.ts)),
        step.after_ms === null ? day(step.ts) : t("story.after", { span: span(step.after_ms) })),
      h("span", { class: "words" }, h("b", {}, step.type), " ", eventWords(step), step.refused ? h("em", {}, ` ${step.refused}`) : null)))) : h("p", { class: "empty" }, t("story.none")));
}

function actions(details) {
  if (store.mode !== "live" || !store.operators) return null;
  if (!store.operator) return h("div", { class: "actions" }, h("button", { type: "button", class: "quiet", onclick: signIn }, t("operator.sign_in")));
  const state = details.state ?? {}, buttons = [];
  const button = (name) => buttons.push(h("button", { type: "button", class: name === "drain" || name === "cancel" ? "danger" : "", onclick: () => act(name, open.id).then((done) => done && read()) }, t("act." + name)));
  if (open.kind === "node" && Object.keys(state).length) { button(state.cordoned ? "uncordon" : "cordon"); button("drain"); }
  if (open.kind === "job" && state.status && !ENDED.includes(state.status)) button("cancel");
  return buttons.length ? h("div", { class: "actions" }, buttons) : null;
}

function draw() {
  const box = $("story");
  if (!open) return;
  box.hidden = false;
  document.body.classList.add("with-story");
  const { kind, id, details, problem } = open;
  const scrolled = box.scrollTop, inside = box.contains(document.activeElement) && document.activeElement !== box;
  const head = h("header", {},
    h("div", {}, h("p", { class: "kind" }, t("story." + kind), store.sections.moment ? " · " + t("story.as_of", { time: dayAndClock(store.sections.moment.ts) }) : ""),
      h("h2", { id: "story-title" }, id)),
    h("button", { type: "button", class: "quiet", id: "story-close", onclick: closeStory, "aria-label": t("close") }, "✕"));
  const body = problem ? [h("p", { class: "empty" }, problem)] : !details ? [h("p", { class: "empty busy" }, t("story.loading"))] : [
    actions(details), why(details),
    Object.keys(details.state ?? {}).length ? h("section", {}, h("h3", {}, t("story.state")), facts(details.state), details.withheld ? h("p", { class: "quiet-text" }, t("story.withheld")) : null) : null,
    details.jobs?.length ? h("section", {}, h("h3", {}, t("story.jobs")), h("p", { class: "names" }, details.jobs.map((job) => link("job", job)))) : null,
    steps(details)];
  box.replaceChildren(head, ...body.filter(Boolean));
  box.scrollTop = scrolled;
  if (inside) box.focus();
}

export function start() {
  on("moment", () => open && read());
  on("mode language operator", () => { if (open) { draw(); read(); } });
}
