/** Making and changing elements; nothing that comes from the node is read as HTML. */
import { STRINGS } from "./strings.js";

/** An element with attributes and children. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined) {
      element.setAttribute(name, value);
    }
  }
  element.append(...children.flat().filter((child) => child !== undefined));
  return element;
}

/**
 * Give `parent` these children, and leave alone those that are the same: what is
 * selected, focused or opened stays so.
 */
export function show(parent, children) {
  const next = children.flat().filter((child) => child !== undefined);
  const focused = document.activeElement?.id;
  next.forEach((child, index) => {
    const old = parent.children[index];
    if (old === undefined) parent.append(child);
    else if (!isSame(old, child)) {
      if (keepsOpen(old, child)) return;
      old.replaceWith(child);
    }
  });
  while (parent.children.length > next.length) parent.lastElementChild.remove();
  if (focused && document.activeElement?.id !== focused) {
    document.getElementById(focused)?.focus({ preventScroll: true });
  }
}

function isSame(a, b) {
  return a.isEqualNode(b);
}

/** Elements that hold others are changed inside; what a reader unfolded stays so. */
function keepsOpen(old, next) {
  if (old.tagName === "DETAILS" && old.id === next.id) return true;
  const holds = ["ARTICLE", "SECTION"].includes(old.tagName);
  if (!holds || old.tagName !== next.tagName || old.id !== next.id) {
    return false;
  }
  show(old, [...next.children]);
  return true;
}

/** Figures with their names; each knows its path, so that a reader can ask for it. */
export function facts(path, object, names) {
  return h(
    "dl",
    { class: "facts" },
    ...names.filter((name) => name in object).map((name) =>
      h(
        "div",
        {},
        h("dt", {}, nameText(path, name)),
        h(
          "dd",
          {
            "data-figure": `${path}.${name}`,
            "data-value": String(object[name]),
          },
          valueText(name, object[name]),
        ),
      )
    ),
  );
}

/** A table with a caption, that can be scrolled where it is wider than the page. */
export function table(caption, columns, rows) {
  return h(
    "div",
    { class: "wide", tabindex: "0", role: "region", "aria-label": caption },
    h(
      "table",
      {},
      h("caption", {}, caption),
      h(
        "thead",
        {},
        h(
          "tr",
          {},
          ...columns.map((column) =>
            column === "" ? h("td") : h("th", { scope: "col" }, column)
          ),
        ),
      ),
      h(
        "tbody",
        {},
        ...rows.map((cells) =>
          h("tr", {}, ...cells.map((cell) => h("td", {}, cell)))
        ),
      ),
    ),
  );
}

/** `failedHandshakes` as `Failed handshakes` where no better words are known. */
function nameText(path, name) {
  const words = name.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
    .replaceAll("_", " ");
  return STRINGS.facts[`${path}.${name}`] ?? STRINGS.facts[name] ??
    words.charAt(0).toUpperCase() + words.slice(1);
}

export function valueText(name, value) {
  if (value === null || value === "") return STRINGS.none;
  if (value === true) return STRINGS.yes;
  if (value === false) return STRINGS.no;
  if (name.endsWith("Ms")) return duration(value / 1000);
  if (Array.isArray(value)) return value.join(", ") || STRINGS.none;
  return String(value);
}

/** The two largest units. */
export function duration(seconds) {
  const { day, hour, minute, second } = STRINGS.units;
  const units = [[86400, day], [3600, hour], [60, minute], [1, second]];
  const parts = [];
  let left = Math.floor(seconds);
  for (const [size, name] of units) {
    const count = Math.floor(left / size);
    left -= count * size;
    if (count > 0) parts.push(`${count} ${name}`);
  }
  return parts.slice(0, 2).join(" ") || `0 ${second}`;
}

/** Bytes per second, with a unit. */
export function rate(bytes) {
  if (bytes < 1000) return `${Math.round(bytes)} B/s`;
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(1)} kB/s`;
  return `${(bytes / 1e6).toFixed(1)} MB/s`;
}
