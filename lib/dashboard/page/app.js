/** The dashboard: asks the node, shows what it says, and does what it is told. */
import { clock, LineChart, timesOf } from "./charts.js";
import { h, rate, show } from "./dom.js";
import { circuitsPage, logLine, relayPage } from "./network_pages.js";
import { nodeFacts, nowPage, servicesPage, visitsPage } from "./pages.js";
import { STRINGS } from "./strings.js";

const RETRY_MS = 3_000;
const POLL_MS = 10_000;
/** A node that is live and says nothing for so long has stopped, or is held up. */
const SILENT_MS = 10_000;
/** Lines in the page: a tab that is open for days holds no more. */
const MAX_LINES = 500;
const LEVELS = ["debug", "info", "warning", "error"];
const PAGES = {
  now: (shown) => nowPage(shown),
  services: (shown) => servicesPage(shown, history),
  visits: (shown) => visitsPage(shown, history, before),
  circuits: (shown) => circuitsPage(shown, namesNow()),
  relay: (shown) => relayPage(shown),
};

let snapshot;
/** The snapshot before, for what is told as a rate. */
let before;
let history;
/** Names of guards, and until when they are shown. */
let names;
let lastLine = 0;
let heardMs = 0;
let source;
let timer;

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
const sections = Object.fromEntries(
  Object.entries(STRINGS.pages).map(([name, title]) => {
    bodies[name] = h("div", { class: "page" });
    const section = h(
      "section",
      { id: `page-${name}`, "aria-labelledby": `title-${name}`, hidden: true },
      h("h1", { id: `title-${name}`, tabindex: "-1" }, title),
      bodies[name],
    );
    return [name, section];
  }),
);
const boxes = {
  now: h("div", { class: "chart" }),
  relay: h("div", { class: "chart" }),
};
const chartParts = {
  now: [h("h2", {}, STRINGS.now.traffic), boxes.now],
  relay: [h("h2", {}, STRINGS.relay.traffic), boxes.relay],
};
const below = h("div", { class: "page" });
sections.now.append(...chartParts.now, below);
bodies.relay.before(...chartParts.relay);
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
  h(
    "main",
    { id: "content", tabindex: "-1" },
    told,
    ...Object.values(sections),
  ),
);
const options = { text: rate, tick: clock, least: 1000 };
const charts = {
  now: new LineChart(boxes.now, [
    { label: STRINGS.now.received, colour: "--in" },
    { label: STRINGS.now.sent, colour: "--out" },
  ], { ...options, title: STRINGS.now.traffic }),
  relay: new LineChart(boxes.relay, [
    { label: STRINGS.relay.forward, colour: "--in" },
    { label: STRINGS.relay.backward, colour: "--out" },
  ], { ...options, title: STRINGS.relay.traffic }),
};

function currentPage() {
  const name = location.hash.slice(1);
  return name in STRINGS.pages ? name : "now";
}

function turn() {
  const name = currentPage();
  for (const [other, section] of Object.entries(sections)) {
    section.hidden = other !== name;
  }
  for (const anchor of nav.querySelectorAll("a")) {
    const isHere = anchor.getAttribute("href") === `#${name}`;
    if (isHere) anchor.setAttribute("aria-current", "page");
    else anchor.removeAttribute("aria-current");
  }
  document.title = `${STRINGS.pages[name]} – ${STRINGS.title}`;
  render();
}

/** The page that is seen, and no other. */
function render() {
  if (snapshot === undefined) return;
  const name = currentPage();
  const page = PAGES[name];
  if (page !== undefined) show(bodies[name], page(snapshot));
  if (name === "now") show(below, nodeFacts(snapshot));
  for (const part of chartParts.relay) part.hidden = snapshot.relayed === null;
}

function onSnapshot(next) {
  if (next.unixMs !== snapshot?.unixMs) before = snapshot;
  snapshot = next;
  document.body.dataset.at = String(next.unixMs);
  render();
}

function onHistory(next) {
  history = next;
  const times = timesOf(next.in.length, next.unixMs, next.stepMs);
  const draw = (chart, received, sent, words) =>
    chart.update(
      times,
      [received, sent],
      words(rate(received.at(-1) ?? 0), rate(sent.at(-1) ?? 0)),
    );
  draw(charts.now, next.in, next.out, STRINGS.now.trafficWords);
  draw(
    charts.relay,
    next.forward,
    next.backward,
    STRINGS.relay.trafficWords,
  );
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

function later(ms, then) {
  clearTimeout(timer);
  timer = setTimeout(then, ms);
}

/** Live as long as that works. */
function connect() {
  source?.close();
  source = new EventSource("events");
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
    source?.close();
    ask();
  };
}

/** Ask once, and try to be live again. */
async function ask(pauseMs = POLL_MS) {
  const answer = await fetch("state").catch(() => undefined);
  if (document.hidden) return;
  if (answer === undefined || answer.status >= 500) {
    say("stopped");
    later(RETRY_MS, connect);
    return;
  }
  if (!answer.ok) {
    say("ended");
    return;
  }
  const state = await answer.json().catch(() => undefined);
  if (state === undefined) return later(RETRY_MS, connect);
  if (pauseMs > 0) say("polling");
  onHistory(state.history);
  onSnapshot(state.snapshot);
  onLog(state.log);
  later(pauseMs, connect);
}

/** A page that is not seen asks for nothing: the node does not look for it. */
function onVisibility() {
  clearTimeout(timer);
  if (!document.hidden) {
    ask(0);
    return;
  }
  source?.close();
  source = undefined;
  say("hidden");
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

/** Names of guards as long as they may be shown; forgotten after that. */
function namesNow() {
  const leftMs = (names?.untilMs ?? 0) - performance.now();
  if (leftMs <= 0) names = undefined;
  return names && { guards: names.guards, leftMs };
}

async function showGuards() {
  const shown = await command("guards", {});
  if (shown === undefined) return;
  names = { guards: shown.guards, untilMs: performance.now() + shown.forMs };
  render();
}

function hideGuards() {
  names = undefined;
  render();
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
  } else if ("showGuards" in button.dataset) await showGuards();
  else if ("hideGuards" in button.dataset) hideGuards();
}

function watch() {
  const isSilent = performance.now() - heardMs > SILENT_MS;
  if (link.dataset.state === "live" && isSilent) say("stopped");
  if (names !== undefined && namesNow() === undefined) render();
}

setInterval(watch, 1_000);
document.addEventListener("click", onClick);
document.addEventListener("visibilitychange", onVisibility);
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
