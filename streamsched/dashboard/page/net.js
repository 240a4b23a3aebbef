// Asking the server: the live stream, and questions with one answer.

import { apply, changed, store } from "./store.js";

let token = null;
try { token = sessionStorage.getItem("streamsched.token"); } catch { /* this tab may keep nothing */ }

export class Refused extends Error {
  constructor(status, code, detail) { super(detail); this.status = status; this.code = code; }
}

// Ask a question; an answer that is a refusal is thrown.
export async function ask(name, query = {}, options = {}) {
  const given = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== undefined && value !== ""));
  const headers = { ...options.headers };
  if (token) headers.authorization = `Bearer ${token}`;
  let answer;
  try {
    answer = await fetch(`api/${name}?${given}`, { ...options, headers, cache: "no-store", credentials: "omit" });
  } catch (problem) {
    if (problem.name === "AbortError") throw problem;
    throw new Refused(0, "UNREACHABLE", String(problem.message));
  }
  const body = await answer.json().catch(() => ({ code: "UNREACHABLE", detail: answer.statusText }));
  if (!answer.ok) throw new Refused(answer.status, body.code, body.detail);
  return body;
}

export const act = (action) =>
  ask("act", {}, { method: "POST", body: JSON.stringify(action), headers: { "content-type": "application/json" } });

// Say who is asking; returns whether the token is the operator's.
export async function signIn(given) {
  token = given;
  const who = await ask("who");
  if (!who.operator) token = null;
  try {
    if (token) sessionStorage.setItem("streamsched.token", token);
    else sessionStorage.removeItem("streamsched.token");
  } catch { /* this tab may keep nothing */ }
  store.operators = who.operators;
  store.defaults = who.defaults;
  store.operator = who.operator;
  changed("operator");
  return who.operator;
}

// A link such as the one `streamsched dev` prints may carry the token behind the #, which no browser sends anywhere.
export async function whoAmI() {
  const given = new URLSearchParams(location.hash.slice(1)).get("token");
  if (given) history.replaceState(null, "", location.pathname);
  await signIn(given ?? token).catch(() => {});
}

let stream = null;

// Follow the present; what the page has seen of it before is sent no second time.
export function follow() {
  if (stream) return;
  stream = new EventSource("api/live");
  stream.onmessage = (event) => {
    const message = JSON.parse(event.data);
    if (store.mode !== "live") return;
    if (!store.connected) { store.connected = true; changed("connected"); }
    apply(message);
  };
  stream.onerror = () => {
    if (store.connected) { store.connected = false; changed("connected"); }
    if (stream?.readyState === EventSource.CLOSED) { stream = null; setTimeout(() => store.mode === "live" && !document.hidden && follow(), 2000); }
  };
}

export function leave() {
  stream?.close();
  stream = null;
}
