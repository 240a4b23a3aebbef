// What an operator may do: asked for, confirmed, and appended to the log as an event.

import { $, h, say } from "./dom.js";
import * as net from "./net.js";
import { on, store } from "./store.js";
import { t } from "./texts/texts.js";

// Show a dialog; resolves with what its form holds, or null.
export function dialog(title, body, buttons) {
  const box = $("dialog");
  return new Promise((resolve) => {
    let answer = null;
    const form = h("form", { method: "dialog", onsubmit: (event) => {
      event.preventDefault();
      answer = Object.fromEntries(new FormData(form));
      box.close();
    } }, h("h2", { id: "dialog-title" }, title), body, h("div", { class: "actions" }, buttons(() => box.close())));
    box.replaceChildren(form);
    box.onclose = () => resolve(answer);
    box.showModal();
    (form.querySelector("input") ?? form.querySelector("button[type=submit]") ?? form.querySelector("button"))?.focus();
  });
}

export function toast(text, bad = false) {
  say($("said"), text);
  const box = $("toast");
  say(box, text);
  box.className = bad ? "toast bad" : "toast";
  box.hidden = false;
  clearTimeout(toast.timer);
  toast.timer = setTimeout(() => { box.hidden = true; }, 6000);
}

async function carryOut(action) {
  try {
    const done = await net.act(action);
    toast(t("act.done", { id: done.id }));
    return true;
  } catch (problem) {
    toast(t("act.failed", { detail: problem.message }), true);
    if (problem.status === 401) net.signIn(null).catch(() => {});
    return false;
  }
}

// Ask for confirmation, then append the event; returns whether it was done.
export async function act(name, id) {
  const said = await dialog(t("act." + name),
    [h("p", {}, t("act.ask." + name, { id })),
      name === "retry" ? null : h("label", {}, t("act.reason"), h("input", { name: "reason", maxlength: "500", autocomplete: "off" }))],
    (close) => [h("button", { type: "button", onclick: close }, t("act.not")),
      h("button", { type: "submit", class: name === "drain" || name === "cancel" ? "danger" : "primary" }, t("act." + name))]);
  return said ? carryOut({ action: name, id, reason: said.reason ?? "" }) : false;
}

async function configure() {
  const now = store.sections.config ?? {}, defaults = store.defaults ?? {};
  const fields = Object.keys(defaults).map((name) => h("label", {}, name,
    h("input", { name, value: now[name] ?? "", placeholder: t("config.default", { value: defaults[name] }), autocomplete: "off", spellcheck: "false" })));
  const said = await dialog(t("config.title"), h("div", { class: "fields" }, fields),
    (close) => [h("button", { type: "button", onclick: close }, t("close")),
      store.operator && store.mode === "live" ? h("button", { type: "submit", class: "primary" }, t("config.review")) : null]);
  if (!said) return;
  const changes = Object.fromEntries(Object.entries(said).filter(([name, text]) => text.trim() && text.trim() !== (now[name] ?? "")).map(([name, text]) => [name, text.trim()]));
  if (!Object.keys(changes).length) { toast(t("config.same")); return; }
  const sure = await dialog(t("act.configure"),
    [h("p", {}, t("act.ask.configure")),
      h("ul", { class: "diff" }, Object.entries(changes).map(([name, text]) => h("li", {}, h("code", {}, name), " ", h("del", {}, now[name] ?? defaults[name] ?? "–"), " → ", h("ins", {}, text)))),
      h("label", {}, t("act.reason"), h("input", { name: "reason", maxlength: "500", autocomplete: "off" }))],
    (close) => [h("button", { type: "button", onclick: close }, t("act.not")), h("button", { type: "submit", class: "primary" }, t("act.configure"))]);
  if (sure) await carryOut({ action: "configure", changes, reason: sure.reason ?? "" });
}

// Sign in, or out.
export async function operator() {
  if (!store.operators) { await dialog(t("operator.read_only"), h("p", {}, t("operator.none")), (close) => [h("button", { type: "button", onclick: close }, t("close"))]); return; }
  if (store.operator) { await net.signIn(null); return; }
  const said = await dialog(t("operator.title"),
    [h("p", {}, t("operator.say")), h("label", {}, t("operator.token"), h("input", { name: "token", type: "password", required: true, autocomplete: "off", spellcheck: "false" }))],
    (close) => [h("button", { type: "button", onclick: close }, t("close")), h("button", { type: "submit", class: "primary" }, t("operator.title"))]);
  if (said && !(await net.signIn(said.token).catch(() => false))) toast(t("operator.wrong"), true);
}

function draw() {
  say($("operator"), t(store.operator ? "operator.sign_out" : store.operators ? "operator.sign_in" : "operator.read_only"));
  $("operator").classList.toggle("on", store.operator);
  if (store.operator) $("operator").title = t("operator.off"); else $("operator").removeAttribute("title");
}

export function start() {
  $("operator").addEventListener("click", operator);
  $("configure").hidden = false;
  $("configure").addEventListener("click", configure);
  on("operator language", draw);
  draw();
}
