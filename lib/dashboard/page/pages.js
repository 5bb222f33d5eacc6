/** What each page shows of a snapshot and the history. */
import { duration, facts, h, table, valueText } from "./dom.js";
import { STRINGS } from "./strings.js";

const heading = (text) => h("h2", {}, text);
const note = (text) => h("p", {}, text);
const list = (items, attributes = {}) =>
  h("ul", attributes, ...items.map((item) => h("li", {}, item)));

export function nowPage({ isReady, waits, warnings, status }) {
  return [
    h(
      "p",
      { class: isReady ? "verdict good" : "verdict wait", id: "verdict" },
      isReady ? STRINGS.now.ready : STRINGS.now.waiting,
    ),
    list(waits, { id: "waits" }),
    heading(STRINGS.now.warnings),
    warnings.length === 0
      ? note(STRINGS.now.noWarnings)
      : list(warnings, { class: "warnings" }),
    heading(STRINGS.now.facts),
    facts("status", status, [
      "network",
      "state",
      "roles",
      "relays",
      "uptimeMs",
      "address",
      "socks",
      "http",
    ]),
  ];
}

export function servicesPage({ services, sessions, left }, history) {
  if (services.length === 0) return [note(STRINGS.services.none)];
  return [
    ...services.map((service) => serviceCard(service, history)),
    heading(STRINGS.services.sessions),
    sessions.length === 0
      ? note(STRINGS.services.noSessions)
      : table(STRINGS.services.sessions, STRINGS.services.columns, [
        ...sessions.map((session) => [
          session.service,
          session.id,
          duration(session.ageSeconds),
          String(session.streams),
          String(session.legs),
          String(session.cellsIn),
          h(
            "button",
            {
              type: "button",
              id: `close-${session.id}`,
              "data-close": session.id,
              "aria-label": STRINGS.services.closeOf(session.id),
            },
            STRINGS.services.close,
          ),
        ]),
      ]),
    left.sessions > 0 ? note(STRINGS.more(left.sessions)) : undefined,
  ];
}

function serviceCard(service, history) {
  const { name, host, reachable } = service;
  const words = STRINGS.services;
  return h(
    "article",
    { id: `service-${name}` },
    heading(name),
    h("p", { class: reachable ? "verdict good" : "verdict wait" }, [
      reachable ? words.reachable : words.notReachable,
    ]),
    h("p", {}, h("code", { class: "host" }, host)),
    h(
      "p",
      {},
      h(
        "button",
        { type: "button", id: `copy-${name}`, "data-copy": host },
        words.copy,
      ),
    ),
    h(
      "details",
      { id: `qr-${name}` },
      h("summary", {}, words.qr),
      h("img", {
        class: "qr",
        src: `qr?text=${encodeURIComponent(host)}`,
        alt: words.qrOf(host),
        loading: "lazy",
        width: "200",
        height: "200",
      }),
    ),
    facts(`services.${name}`, service, [
      "ports",
      "points",
      "sessions",
      "streams",
      "shed",
    ]),
    h("h3", {}, words.strip),
    strip(history?.reach?.[name] ?? []),
  );
}

/** A day as boxes: reachable, in part, not, unknown. */
function strip(shares) {
  const known = shares.filter((share) => share !== null);
  const sum = known.reduce((total, share) => total + share, 0);
  const percent = known.length === 0
    ? undefined
    : `${Math.round(100 * sum / known.length)} %`;
  const kind = (share) =>
    share === null
      ? "unknown"
      : share === 1
      ? "up"
      : share === 0
      ? "down"
      : "part";
  const words = STRINGS.services.stripWords(percent);
  return h(
    "div",
    {},
    h(
      "div",
      { class: "strip", role: "img", "aria-label": words },
      ...shares.map((share) => h("span", { class: kind(share) })),
    ),
    note(words),
  );
}

export function visitsPage({ status }) {
  if (!status.visits) return [note(STRINGS.visits.none)];
  return [
    heading(STRINGS.visits.facts),
    facts("status.visits", status.visits, [
      "sessions",
      "beginning",
      "streams",
      "legs",
    ]),
    note(STRINGS.visits.newIdentityHint),
    h(
      "p",
      {},
      h(
        "button",
        { type: "button", id: "new-identity", "data-new-identity": true },
        STRINGS.visits.newIdentity,
      ),
    ),
  ];
}

export function circuitsPage({ own, left, status }) {
  if (own === null) return [note(STRINGS.circuits.none)];
  const words = STRINGS.circuits;
  return [
    heading(words.facts),
    status.circuits?.words ? note(status.circuits.words) : undefined,
    facts("own.counts", own.counts, Object.keys(own.counts)),
    heading(words.list),
    own.circuits.length === 0 ? note(words.noCircuits) : table(
      words.list,
      words.columns,
      own.circuits.map(({ purpose, state, hops, ageSeconds }) => [
        purpose,
        state,
        drawing(hops),
        duration(ageSeconds),
      ]),
    ),
    left.circuits > 0 ? note(STRINGS.more(left.circuits)) : undefined,
    heading(words.guards),
    own.guards.length === 0 ? note(words.noGuards) : table(
      words.guards,
      words.guardColumns,
      own.guards.map((guard) =>
        ["isInUse", "isListed", "wasReached", "failures", "daysLeft"]
          .map((name) => valueText(name, guard[name]))
      ),
    ),
  ];
}

/** A circuit as beads on a string; those that are built are filled. */
function drawing(hops) {
  return h(
    "span",
    { class: "hops" },
    h("span", { class: "hop built" }, STRINGS.circuits.you),
    ...hops.map(({ role, isBuilt }) =>
      h("span", { class: isBuilt ? "hop built" : "hop" }, role)
    ),
  );
}

export function relayPage({ relayed, status }) {
  if (relayed === null) return [note(STRINGS.relay.none)];
  const words = STRINGS.relay;
  const plain = (object) =>
    Object.keys(object ?? {}).filter((name) =>
      typeof object[name] !== "object" || object[name] === null
    );
  const group = (title, path, object) =>
    object && plain(object).length > 0
      ? [heading(title), facts(path, object, plain(object))]
      : [];
  return [
    ...group(words.reach, "status.reach", status.reach),
    ...group(words.facts, "relayed", relayed),
    ...group(words.states, "relayed.states", relayed.states),
    ...group(words.ends, "relayed.ends", relayed.ends),
    ...group(words.links, "status.links", status.links),
    ...group(words.dht, "status.dht", status.dht),
  ];
}

export function logLine({ time, level, part, message, ...fields }) {
  const rest = Object.entries(fields).map(([name, value]) =>
    ` ${name}=${value}`
  )
    .join("");
  return h(
    "li",
    { class: level, "data-level": level },
    h("time", { datetime: time }, time.slice(11, 19)),
    h("span", { class: "level" }, level),
    h("span", {}, `${part ? `${part}: ` : ""}${message}${rest}`),
  );
}
