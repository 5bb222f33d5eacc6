/** What the pages Circuits and Relay show, and a line of the log. */
import {
  bars,
  duration,
  facts,
  gauge,
  h,
  heading,
  list,
  note,
  table,
  valueText,
} from "./dom.js";
import { badge } from "./pages.js";
import { STRINGS } from "./strings.js";

/** @param names Of guards, while they are shown: the list, and for how long yet. */
export function circuitsPage({ own, left, status }, names) {
  if (own === null) return [note(STRINGS.circuits.none)];
  const words = STRINGS.circuits;
  return [
    heading(words.facts),
    status.circuits?.words ? note(status.circuits.words) : undefined,
    facts("own.counts", own.counts, Object.keys(own.counts)),
    heading(words.guards),
    own.guards.length === 0 ? note(words.noGuards) : table(
      words.guards,
      words.guardColumns,
      own.guards.map((guard) => [
        badge(...guardHealth(guard)),
        ...["isInUse", "isListed", "wasReached", "failures", "daysLeft"]
          .map((name) => valueText(name, guard[name])),
      ]),
    ),
    ...guardNames(names),
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
  ];
}

function guardHealth({ isListed, wasReached, failures }) {
  const { health } = STRINGS.circuits;
  if (failures > 0) return [health.failing, false];
  if (!isListed) return [health.unlisted, false];
  return wasReached ? [health.well, true] : [health.untried, false];
}

function guardNames(names) {
  const words = STRINGS.circuits;
  const button = (id, text) =>
    h("p", {}, h("button", { type: "button", id, [`data-${id}`]: true }, text));
  if (names === undefined) {
    return [
      note(words.namesHint),
      button("show-guards", words.showNames),
    ];
  }
  return [
    note(words.namesLeft(duration(Math.ceil(names.leftMs / 1000)))),
    table(
      words.names,
      words.nameColumns,
      names.guards.map(({ isInUse, publicKey, addresses }) => [
        valueText("isInUse", isInUse),
        h("code", {}, publicKey),
        addresses.join(", "),
      ]),
    ),
    button("hide-guards", words.hideNames),
  ];
}

/** A circuit as beads on a string; those that are built are filled. */
function drawing(hops) {
  const { you, roles } = STRINGS.circuits;
  return h(
    "span",
    { class: "hops" },
    h("span", { class: "hop built you" }, you),
    ...hops.map(({ role, isBuilt }) =>
      h(
        "span",
        { class: isBuilt ? `hop built ${role}` : "hop" },
        roles[role] ?? role,
      )
    ),
  );
}

/** What stands below the chart of what is passed on. */
export function relayPage({ relayed, status }) {
  if (relayed === null) return [note(STRINGS.relay.none)];
  const words = STRINGS.relay;
  const { reach, memory, accounting } = status;
  return [
    heading(words.reach),
    h(
      "p",
      {},
      badge(
        words.reachStates[reach.state] ?? reach.state,
        reach.state === "reached",
      ),
      ` ${reach.words}`,
    ),
    heading(words.facts),
    facts("relayed", relayed, [
      "created",
      "turnedAway",
      "listening",
      "waiting",
      "forwardCells",
      "backwardCells",
    ]),
    h("h3", {}, words.states),
    bars("relayed.states", relayed.states),
    heading(words.queues),
    gauge(words.quota, relayed.waitingBytes, relayed.quotaBytes),
    facts("relayed", relayed, [
      "waitingBytes",
      "messageBytes",
      "quotaBytes",
      "held",
    ]),
    memory ? facts("status.memory", memory, ["recordBytes"]) : undefined,
    accounting ? list([accounting.words]) : undefined,
    heading(words.refusals),
    bars("relayed.refusals", relayed.refusals),
    h("h3", {}, words.ends),
    bars("relayed.ends", relayed.ends),
    heading(words.links),
    facts("status.links", status.links, Object.keys(status.links)),
    heading(words.dht),
    facts("status.dht", status.dht, plain(status.dht)),
  ];
}

function plain(object) {
  return Object.keys(object).filter((name) =>
    typeof object[name] !== "object" || object[name] === null
  );
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
