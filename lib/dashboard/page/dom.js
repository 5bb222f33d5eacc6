/** Making and changing elements; nothing that comes from the node is read as HTML. */
import { STRINGS } from "./strings.js";

/** An element with attributes and children. */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  fill(element, attributes, children);
  return element;
}

/** The same for a drawing. */
export function svg(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  fill(element, attributes, children);
  return element;
}

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined) {
      element.setAttribute(name, value);
    }
  }
  element.append(...children.flat().filter((child) => child !== undefined));
}

/**
 * Give `parent` these children, and leave alone what is the same: what is selected,
 * focused, scrolled or opened stays so, and nothing is made that was there.
 */
export function show(parent, children) {
  const focused = document.activeElement?.id;
  change(parent, children.flat().filter((child) => child !== undefined));
  if (focused && document.activeElement?.id !== focused) {
    document.getElementById(focused)?.focus({ preventScroll: true });
  }
}

function change(parent, next) {
  next.forEach((child, index) => {
    const old = parent.childNodes[index];
    if (old === undefined) parent.append(child);
    else become(old, child);
  });
  while (parent.childNodes.length > next.length) parent.lastChild.remove();
}

/** Make one node like another. */
function become(old, next) {
  if (old.isEqualNode(next)) return;
  if (old.nodeName !== next.nodeName || old.id !== next.id) {
    old.replaceWith(next);
  } else if (old.nodeType === Node.TEXT_NODE) old.data = next.data;
  else {
    // What a reader unfolded stays unfolded.
    const kept = old.nodeName === "DETAILS" ? ["open"] : [];
    for (const { name } of [...old.attributes]) {
      const isOver = !next.hasAttribute(name) && !kept.includes(name);
      if (isOver) old.removeAttribute(name);
    }
    for (const { name, value } of [...next.attributes]) {
      if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    }
    change(old, [...next.childNodes]);
  }
}

export const heading = (text) => h("h2", {}, text);
export const note = (text, attributes = {}) => h("p", attributes, text);

export function list(items, attributes = {}) {
  return h("ul", attributes, ...items.map((item) => h("li", {}, item)));
}

/** Figures with their names; each knows its path, so that a reader can ask for it. */
export function facts(path, object, names) {
  return h(
    "dl",
    { class: "facts" },
    ...names.filter((name) => name in object).map((name) =>
      fact(`${path}.${name}`, nameText(path, name), object[name], name)
    ),
  );
}

/** One figure. `kind` says by its name how it is written. */
export function fact(path, title, value, kind = path) {
  return h(
    "div",
    {},
    h("dt", {}, title),
    h(
      "dd",
      { "data-figure": path, "data-value": String(value) },
      valueText(kind, value),
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

/** Counts as bars, the name of each before it. Those that are 0 are left out. */
export function bars(path, object) {
  const entries = Object.entries(object).filter(([, count]) => count > 0);
  if (entries.length === 0) return note(STRINGS.none);
  const most = Math.max(...entries.map(([, count]) => count));
  return h(
    "dl",
    { class: "bars" },
    ...entries.map(([name, count]) =>
      h(
        "div",
        {},
        h("dt", {}, nameText(path, name)),
        h(
          "dd",
          { "data-figure": `${path}.${name}`, "data-value": String(count) },
          svg(
            "svg",
            {
              viewBox: "0 0 100 8",
              preserveAspectRatio: "none",
              "aria-hidden": "true",
            },
            svg("rect", {
              width: String(100 * count / most),
              height: "8",
              rx: "1",
            }),
          ),
          h("span", {}, String(count)),
        ),
      )
    ),
  );
}

/** How much of something is used. */
export function gauge(title, used, most) {
  const share = most > 0 ? used / most : 0;
  const words = `${bytes(used)} / ${bytes(most)}`;
  return h(
    "div",
    { class: "gauge" },
    h("span", {}, title),
    h("meter", {
      min: "0",
      max: "1",
      high: "0.8",
      optimum: "0",
      value: share.toFixed(4),
      "aria-label": `${title}: ${words}`,
    }),
    h("strong", {}, words),
  );
}

/** `failedHandshakes` as `Failed handshakes` where no better words are known. */
export function nameText(path, name) {
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
  if (name.endsWith("Bytes")) return bytes(value);
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

export function milliseconds(value) {
  return value === null ? STRINGS.none : `${value} ${STRINGS.units.ms}`;
}

/** Bytes, with a unit. */
export function bytes(count) {
  if (count < 1024) return `${count} B`;
  if (count < 1024 ** 2) return `${(count / 1024).toFixed(1)} KiB`;
  return `${(count / 1024 ** 2).toFixed(1)} MiB`;
}

/** Bytes per second, with a unit. */
export function rate(bytes) {
  if (bytes < 1000) return `${Math.round(bytes)} B/s`;
  if (bytes < 1e6) return `${(bytes / 1e3).toFixed(1)} kB/s`;
  return `${(bytes / 1e6).toFixed(1)} MB/s`;
}
