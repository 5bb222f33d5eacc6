/** The dashboard: asks the node, shows what it says, and does what it is told. */
import { TrafficChart } from "./charts.js";
import { h, show } from "./dom.js";
import {
  circuitsPage,
  logLine,
  nowPage,
  relayPage,
  servicesPage,
  visitsPage,
} from "./pages.js";
import { STRINGS } from "./strings.js";

const RETRY_MS = 3_000;
const POLL_MS = 10_000;
/** A node that is live and says nothing for so long has stopped, or is held up. */
const SILENT_MS = 10_000;
/** Lines in the page: a tab that is open for days holds no more. */
const MAX_LINES = 500;
const LEVELS = ["debug", "info", "warning", "error"];
const PAGES = {
  now: nowPage,
  services: servicesPage,
  visits: visitsPage,
  circuits: circuitsPage,
  relay: relayPage,
};

let snapshot;
let history;
let lastLine = 0;
let heardMs = 0;

const link = h("p", { id: "link", role: "status" }, STRINGS.link.waiting);
const told = h("p", { id: "told", role: "status", "aria-live": "polite" });
const nav = h(
  "nav",
  { "aria-label": STRINGS.nav },
  h(
    "ul",
    {},
    ...Object.entries(STRINGS.pages).map(([name, title]) =>
      h("li", {}, h("a", { href: `#${name}` }, title))
    ),
  ),
);
const chartBox = h("div", { class: "chart" });
const level = h(
  "select",
  { id: "level" },
  ...LEVELS.map((name) => h("option", { value: name }, name)),
);
const filter = h("input", { id: "filter", type: "search" });
const lines = h("ol", {
  class: "log",
  "aria-label": STRINGS.log.lines,
  tabindex: "0",
});
const bodies = {};
const sections = Object.entries(STRINGS.pages).map(([name, title]) => {
  bodies[name] = h("div", { class: "page" });
  return h(
    "section",
    { id: `page-${name}`, "aria-labelledby": `title-${name}`, hidden: true },
    h("h1", { id: `title-${name}`, tabindex: "-1" }, title),
    bodies[name],
  );
});
sections[0].append(
  h("h2", {}, STRINGS.now.traffic),
  chartBox,
);
bodies.log.append(
  h(
    "p",
    { class: "controls" },
    h("label", { for: "level" }, STRINGS.log.level),
    level,
    h("label", { for: "filter" }, STRINGS.log.filter),
    filter,
  ),
  lines,
);
document.body.append(
  h("a", { class: "skip", href: "#content" }, STRINGS.skip),
  h("header", {}, h("strong", {}, STRINGS.title), link, nav),
  h("main", { id: "content", tabindex: "-1" }, told, ...sections),
);
const chart = new TrafficChart(chartBox);

function currentPage() {
  const name = location.hash.slice(1);
  return name in STRINGS.pages ? name : "now";
}

function turn() {
  const name = currentPage();
  for (const section of sections) {
    section.hidden = section.id !== `page-${name}`;
  }
  for (const anchor of nav.querySelectorAll("a")) {
    const isHere = anchor.getAttribute("href") === `#${name}`;
    if (isHere) anchor.setAttribute("aria-current", "page");
    else anchor.removeAttribute("aria-current");
  }
  document.title = `${STRINGS.pages[name]} – ${STRINGS.title}`;
  render();
}

function render() {
  if (snapshot === undefined) return;
  const name = currentPage();
  const page = PAGES[name];
  if (page !== undefined) show(bodies[name], page(snapshot, history));
}

function onSnapshot(next) {
  snapshot = next;
  document.body.dataset.at = String(next.unixMs);
  render();
}

function onHistory(next) {
  history = next;
  chart.update(next);
}

function isWanted(line) {
  return LEVELS.indexOf(line.dataset.level) >= LEVELS.indexOf(level.value) &&
    line.textContent.toLowerCase().includes(filter.value.toLowerCase());
}

function onLog(news) {
  const isAtEnd = lines.scrollTop + lines.clientHeight >=
    lines.scrollHeight - 40;
  for (const { number, json } of news) {
    if (number <= lastLine) continue;
    lastLine = number;
    const line = logLine(JSON.parse(json));
    line.hidden = !isWanted(line);
    lines.append(line);
  }
  while (lines.children.length > MAX_LINES) lines.firstElementChild.remove();
  if (isAtEnd) lines.scrollTop = lines.scrollHeight;
}

function filterLines() {
  for (const line of lines.children) line.hidden = !isWanted(line);
}

function say(state) {
  if (link.dataset.state === state) return;
  link.dataset.state = state;
  link.textContent = STRINGS.link[state];
}

/** Live as long as that works. */
function connect() {
  const source = new EventSource("events");
  const on = (name, take) =>
    source.addEventListener(name, ({ data }) => {
      heardMs = performance.now();
      say("live");
      take(JSON.parse(data));
    });
  on("snapshot", onSnapshot);
  on("history", onHistory);
  on("log", onLog);
  source.onerror = () => {
    source.close();
    ask();
  };
}

/** Ask once, and try to be live again. */
async function ask(pauseMs = POLL_MS) {
  const again = (ms) => setTimeout(connect, ms);
  const answer = await fetch("state").catch(() => undefined);
  if (answer === undefined || answer.status >= 500) {
    say("stopped");
    again(RETRY_MS);
    return;
  }
  if (!answer.ok) {
    say("ended");
    return;
  }
  const state = await answer.json().catch(() => undefined);
  if (state === undefined) return again(RETRY_MS);
  if (pauseMs > 0) say("polling");
  onSnapshot(state.snapshot);
  onHistory(state.history);
  onLog(state.log);
  again(pauseMs);
}

async function command(name, args) {
  const answer = await fetch(name, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(args),
  }).catch(() => undefined);
  if (answer === undefined) {
    told.textContent = STRINGS.link.stopped;
    return undefined;
  }
  const result = await answer.json();
  if (answer.ok) return result;
  told.textContent = result.message ?? STRINGS.link.ended;
  return undefined;
}

async function onClick({ target }) {
  const button = target.closest("button");
  if (button === null) return;
  const { copy, close } = button.dataset;
  if (copy !== undefined) {
    await navigator.clipboard.writeText(copy);
    told.textContent = STRINGS.services.copied;
  } else if (close !== undefined) {
    const done = await command("close-session", { id: close });
    if (done) told.textContent = STRINGS.services.closed(close);
  } else if ("newIdentity" in button.dataset) {
    const done = await command("new-identity", {});
    if (done) told.textContent = STRINGS.visits.renewed(done.streams);
  }
}

function watch() {
  const isSilent = performance.now() - heardMs > SILENT_MS;
  if (link.dataset.state === "live" && isSilent) say("stopped");
}

setInterval(watch, 1_000);
document.addEventListener("click", onClick);
level.addEventListener("change", filterLines);
filter.addEventListener("input", filterLines);
addEventListener("hashchange", () => {
  if (location.hash === "#content") return;
  turn();
  document.getElementById(`title-${currentPage()}`).focus();
});
turn();
// The first look does not wait for the next event.
await ask(0);
