// Building elements. Text only ever becomes a text node: whatever a producer wrote is shown, never interpreted.

export const $ = (id) => document.getElementById(id);

// An element with attributes, listeners (onclick: …) and children; a child that is null, undefined or false is left out.
export function h(tag, given = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "class") element.className = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

// Set a text only where it differs, so that the layout is not computed again for nothing.
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// One drawing per frame, however often it is asked for.
export function onFrame(draw) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => { asked = false; draw(); });
  };
}

// Remember a choice of this browser; a page that may keep nothing goes on without.
export const kept = {
  get(name) { try { return localStorage.getItem("streamsched." + name); } catch { return null; } },
  set(name, value) { try { localStorage.setItem("streamsched." + name, value); } catch { /* not allowed to */ } },
};

export function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();
}
