/** Reachability over the last day, as boxes. */
import { h, note } from "./dom.js";
import { STRINGS } from "./strings.js";

/** A day as boxes: reachable, in part, not, unknown. */
export function strip(shares) {
  const known = shares.filter((share) => share !== null);
  const sum = known.reduce((total, share) => total + share, 0);
  const percent = known.length === 0
    ? undefined
    : `${Math.round(100 * sum / known.length)} %`;
  const words = STRINGS.services.stripWords(percent);
  return h(
    "div",
    {},
    h(
      "div",
      { class: "strip", role: "img", "aria-label": words },
      ...shares.map((share) => h("span", { class: kindOf(share) })),
    ),
    h(
      "div",
      { class: "ends", "aria-hidden": "true" },
      ...STRINGS.services.stripEnds.map((end) => h("span", {}, end)),
    ),
    note(words),
  );
}

function kindOf(share) {
  if (share === null) return "unknown";
  if (share === 1) return "up";
  return share === 0 ? "down" : "part";
}
