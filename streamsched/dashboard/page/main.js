// Puts the page together: colours, language, keys, and who is asking.

import * as actions from "./actions.js";
import * as charts from "./panels/charts.js";
import { $, h, kept, say } from "./dom.js";
import * as figures from "./panels/figures.js";
import * as log from "./panels/log.js";
import * as net from "./net.js";
import * as nodes from "./panels/nodes.js";
import * as pairs from "./panels/pairs.js";
import { changed, on, store } from "./store.js";
import * as story from "./panels/story.js";
import { languageNow, setLanguage, t, translate } from "./texts/texts.js";
import * as timebar from "./panels/timebar.js";

const THEMES = ["auto", "light", "dark"];
let theme = kept.get("theme") ?? "auto";
let letters = kept.get("keys") !== "off";

function setTheme(chosen) {
  theme = THEMES.includes(chosen) ? chosen : "auto";
  kept.set("theme", theme);
  if (theme === "auto") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  labels();
  changed("theme");
}

function labels() {
  say($("theme"), t("theme." + theme));
  $("theme").setAttribute("aria-label", t("theme.label", { theme: t("theme." + theme) }));
  say($("language"), t("language.other"));
  $("language").lang = languageNow() === "zh" ? "en" : "zh-CN";
}

const HELP = [["Space", "space"], ["n  p", "n"], ["0", "now"], ["/", "slash"], ["f", "f"], ["← →", "arrows"], ["← ↑ → ↓", "grid"], ["Esc", "esc"]];

async function help() {
  const rows = HELP.map(([key, name]) => h("tr", {}, h("td", {}, key.split("  ").map((one) => h("kbd", {}, one))), h("td", {}, t("help." + name))));
  const box = h("input", { type: "checkbox", name: "on", checked: letters });
  box.addEventListener("change", () => { letters = box.checked; kept.set("keys", letters ? "on" : "off"); });
  await actions.dialog(t("help.title"), [h("table", { class: "keys" }, h("tbody", {}, rows)), h("label", { class: "check" }, box, t("help.keys"))],
    (close) => [h("button", { type: "button", class: "primary", onclick: close }, t("close"))]);
}

function keys(event) {
  if (event.key === "Escape" && !$("dialog").open) {
    if (!story.closeStory()) timebar.pause();
    return;
  }
  const typing = event.target.closest("input:not([type=range]), select, textarea, dialog");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || !letters) return;
  const pressed = event.target.closest("button, summary") !== null;
  const does = {
    " ": () => !pressed && timebar.toggle(),
    n: () => timebar.jump(false), p: () => timebar.jump(true), 0: () => timebar.now(),
    "/": () => $("log-filter").focus(), f: () => $("node-find").focus(), "?": help,
  }[event.key];
  if (does && does() !== false) event.preventDefault();
}

// A hidden page requests nothing; once it is visible again, it receives what has changed.
function seen() {
  if (document.hidden) net.leave();
  else if (store.mode === "live") net.follow();
}

setTheme(theme);
translate();
for (const part of [actions, figures, nodes, pairs, charts, log, story, timebar]) part.start();
$("theme").addEventListener("click", () => setTheme(THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length]));
$("language").addEventListener("click", () => setLanguage(languageNow() === "zh" ? "en" : "zh"));
$("help").addEventListener("click", help);
on("language", labels);
document.addEventListener("keydown", keys);
document.addEventListener("visibilitychange", seen);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => changed("theme"));
net.whoAmI();
net.follow();
