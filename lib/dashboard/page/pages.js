/** What the pages Now, Services and Visits show of a snapshot and the history. */
import {
  duration,
  fact,
  facts,
  h,
  heading,
  list,
  milliseconds,
  note,
  rate,
  table,
  valueText,
} from "./dom.js";
import { strip } from "./strip.js";
import { STRINGS } from "./strings.js";

/** Bytes of a cell, with which what sessions carry is counted. */
const CELL_BYTES = 4096;

/** What stands above the chart of traffic. */
export function nowPage({ isReady, waits, warnings, status, relayed }) {
  const words = STRINGS.now;
  const others = relayed === null
    ? undefined
    : Object.values(relayed.states).reduce((sum, count) => sum + count, 0);
  return [
    h(
      "div",
      { class: isReady ? "hero good" : "hero wait" },
      note(isReady ? words.ready : words.waiting, {
        id: "verdict",
        class: "verdict",
      }),
      isReady ? note(words.readyWords(status.relays)) : undefined,
      list(waits, { id: "waits" }),
    ),
    heading(words.warnings),
    warnings.length === 0 ? note(words.noWarnings) : h(
      "ul",
      { class: "warnings" },
      ...warnings.map(({ what, grade, words, next }) =>
        h(
          "li",
          { class: grade },
          h("strong", {}, `${what}: `),
          words,
          next === "" ? undefined : h("span", { class: "next" }, next),
        )
      ),
    ),
    heading(words.hiding),
    h(
      "dl",
      { class: "facts large" },
      fact("status.relays", words.relays, status.relays),
      others === undefined
        ? undefined
        : fact("now.others", words.others, others),
      status.visits
        ? fact("now.visits", words.visits, status.visits.sessions)
        : undefined,
      fact("status.uptimeMs", words.uptime, status.uptimeMs),
    ),
  ];
}

/** What stands below it. */
export function nodeFacts({ status }) {
  return [
    heading(STRINGS.now.facts),
    facts("status", status, [
      "network",
      "roles",
      "state",
      "socks",
      "http",
      "address",
    ]),
  ];
}

export function servicesPage({ services, sessions, left }, history) {
  const words = STRINGS.services;
  if (services.length === 0) return [note(words.none)];
  return [
    ...services.map((service) => serviceCard(service, history)),
    heading(words.sessions),
    sessions.length === 0 ? note(words.noSessions) : table(
      words.sessions,
      words.columns,
      sessions.map((session) => [
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
            "aria-label": words.closeOf(session.id),
          },
          words.close,
        ),
      ]),
    ),
    left.sessions > 0 ? note(STRINGS.more(left.sessions)) : undefined,
  ];
}

function serviceCard(service, history) {
  const { name, host, reachable, introductionPoints } = service;
  const words = STRINGS.services;
  return h(
    "article",
    { id: `service-${name}` },
    h(
      "div",
      { class: "title" },
      heading(name),
      h("span", { class: reachable ? "badge good" : "badge wait" }, [
        reachable ? words.reachable : words.notReachable,
      ]),
    ),
    h(
      "p",
      { class: "address" },
      h("code", { class: "host" }, host),
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
      "sessions",
      "streams",
      "introductions",
      "shed",
    ]),
    h("h3", {}, words.strip),
    strip(history?.reach?.[name] ?? []),
    h("h3", {}, words.points),
    introductionPoints.length === 0 ? note(words.noPoints) : table(
      words.pointsOf(name),
      words.pointColumns,
      introductionPoints.map((point) => [
        badge(point.state, point.state === "open"),
        valueText("isNamed", point.isNamed),
        point.answeredSecondsAgo === null
          ? STRINGS.none
          : words.ago(duration(point.answeredSecondsAgo)),
        milliseconds(point.roundTripMs),
        String(point.introductions),
      ]),
    ),
  );
}

/** A state in a word, in the colour of how good that is. */
export function badge(text, isGood) {
  return h("span", { class: isGood ? "badge good" : "badge wait" }, text);
}

export function visitsPage({ status, visits, left, unixMs }, _, before) {
  const words = STRINGS.visits;
  if (!status.visits) return [note(words.none)];
  return [
    heading(words.facts),
    facts("status.visits", status.visits, [
      "sessions",
      "beginning",
      "streams",
      "legs",
    ]),
    heading(words.list),
    note(words.listHint),
    visits.length === 0 ? note(words.noVisits) : table(
      words.list,
      words.columns,
      visits.map((visit) => [
        h(
          "span",
          { class: `isolation of-${visit.isolation % 6}` },
          words.isolation(visit.isolation),
        ),
        String(visit.id),
        badge(words.states[visit.state], visit.state === "open"),
        duration(visit.ageSeconds),
        String(visit.streams),
        visit.silentLegs > 0
          ? words.silentOf(visit.silentLegs, visit.legs)
          : String(visit.legs),
        milliseconds(visit.roundTripMs),
        ...throughput(visit, unixMs, before),
      ]),
    ),
    left.visits > 0 ? note(STRINGS.more(left.visits)) : undefined,
    heading(words.newIdentity),
    note(words.newIdentityHint),
    h(
      "p",
      {},
      h(
        "button",
        { type: "button", id: "new-identity", "data-new-identity": true },
        words.newIdentity,
      ),
    ),
  ];
}

/** What came and went since the look before, per second. */
function throughput(visit, unixMs, before) {
  const old = before?.visits.find(({ id }) => id === visit.id);
  const seconds = (unixMs - (before?.unixMs ?? unixMs)) / 1000;
  if (old === undefined || seconds <= 0) return ["–", "–"];
  return ["cellsIn", "cellsOut"].map((name) =>
    rate(Math.max(0, visit[name] - old[name]) * CELL_BYTES / seconds)
  );
}
