// What the page shows now: one board, live or of a moment of the past, as the server last described it.

export const store = {
  gen: "", rev: 0,
  mode: "live",        // or "past"
  at: null,            // the moment that is looked at, an id or ms; null when live
  connected: false,    // whether the live stream is there
  sections: {},        // partition, counters, pairs, pools, health, charts, letters, history, moment, config, away
  log: [],             // rows, the latest last
  nodes: { ids: [], health: [], held: [], pools: [], sets: [], number: new Map() },
  operators: false, operator: false,
};

const listeners = new Map();
export const ROWS = 200;

// Call `listener` after any of some names has changed: sections, "nodes", "log", "mode", "language", "theme", "operator".
export function on(names, listener) {
  for (const name of names.split(" ")) {
    if (!listeners.has(name)) listeners.set(name, new Set());
    listeners.get(name).add(listener);
  }
}

export function changed(...names) {
  const called = new Set();
  for (const name of names) for (const listener of listeners.get(name) ?? []) called.add(listener);
  for (const listener of called) listener(names);
}

// Take in a message. `nodes` tells the listeners which rows changed; null means all.
export function apply(message) {
  if (!message.whole && message.gen !== store.gen) return;
  const { gen, rev, whole, nodes, log, ...sections } = message;
  const names = new Set(Object.keys(sections));
  if (whole) {
    for (const name of Object.keys(store.sections)) names.add(name);
    store.sections = {};
    store.log = [];
    store.nodes = { ids: [], health: [], held: [], pools: [], sets: [], number: new Map() };
    names.add("log").add("nodes");
  }
  store.gen = gen;
  store.rev = rev;
  Object.assign(store.sections, sections);
  if (nodes) { takeNodes(nodes); names.add("nodes"); }
  if (log?.length) {
    store.log = store.log.concat(log).slice(-ROWS);
    names.add("log");
  }
  changed(...names);
}

export let touched = null;

function takeNodes(nodes) {
  const table = store.nodes;
  if (nodes.pool_sets) table.sets = nodes.pool_sets;
  if (nodes.ids) {
    table.ids = nodes.ids;
    table.health = [...nodes.health];
    table.held = nodes.held;
    table.pools = nodes.pools;
    table.number = new Map(nodes.ids.map((id, number) => [id, number]));
    touched = null;
    return;
  }
  touched = new Set();
  for (const [number, id, health, held, pools] of nodes.rows) {
    if (number >= table.ids.length || table.pools[number] !== pools) touched = null;
    table.ids[number] = id;
    table.health[number] = health;
    table.held[number] = held;
    table.pools[number] = pools;
    table.number.set(id, number);
    touched?.add(number);
  }
}

export function setMode(mode) {
  if (store.mode === mode) return;
  store.mode = mode;
  changed("mode");
}
