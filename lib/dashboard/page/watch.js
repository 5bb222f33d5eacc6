/** A simulation that is watched: its charts, live. */
import { LineChart } from "./charts.js";
import { h, milliseconds } from "./dom.js";
import { STRINGS } from "./strings.js";

const COLOURS = ["--in", "--out", "--good", "--wait"];
const RETRY_MS = 3_000;
const WORDS = STRINGS.watch;

const link = h("p", { id: "link", role: "status" }, STRINGS.link.waiting);
const progress = h("progress", {
  max: "1",
  value: "0",
  "aria-label": WORDS.progress,
});
const said = h("p", { id: "said", role: "status" }, "");
const body = h("div", { class: "page" });
document.title = `${WORDS.title} – ${STRINGS.title}`;
document.body.append(
  h("header", {}, h("strong", {}, STRINGS.title), link),
  h(
    "main",
    {},
    h("h1", {}, WORDS.title),
    h("div", { class: "gauge" }, progress, said),
    body,
  ),
);

const charts = new Map();

/** The chart of a title, made when it is first heard of. */
function chartOf({ title, unit, lines }) {
  const known = charts.get(title);
  if (known !== undefined) return known;
  const box = h("div", { class: "chart" });
  body.append(h("h2", {}, title), box);
  const chart = new LineChart(
    box,
    lines.map(({ label }, index) => ({
      label,
      colour: COLOURS[index % COLOURS.length],
    })),
    {
      title,
      text: (value) => valueText(unit, value),
      tick: WORDS.minute,
      least: unit === "share" ? 0.01 : 1,
    },
  );
  charts.set(title, chart);
  return chart;
}

function valueText(unit, value) {
  if (unit === "share") return WORDS.percent(100 * value);
  return unit === "ms" ? milliseconds(Math.round(value)) : String(value);
}

function onState({ charts = [], minute = 0, minutes = 1, isOver = false }) {
  progress.value = minute / minutes;
  said.textContent = isOver ? WORDS.over : WORDS.at(minute, minutes);
  document.body.dataset.minute = String(minute);
  for (const chart of charts) {
    const { title, unit, lines } = chart;
    const words = lines.map(({ label, values }) => {
      const last = values.at(-1) ?? null;
      return `${label}: ${
        last === null ? STRINGS.none : valueText(unit, last)
      }`;
    });
    chartOf(chart).update(
      chart.minutes,
      lines.map(({ values }) => values),
      `${title}. ${words.join(", ")}`,
    );
  }
}

function say(state) {
  link.dataset.state = state;
  link.textContent = STRINGS.link[state];
}

/** Live as long as the process is there; it comes back by itself after a pause. */
function connect() {
  const source = new EventSource("events");
  source.addEventListener("state", ({ data }) => {
    say("live");
    onState(JSON.parse(data));
  });
  source.onerror = async () => {
    source.close();
    const answer = await fetch("state").catch(() => undefined);
    say(answer?.status === 403 ? "ended" : answer?.ok ? "polling" : "stopped");
    if (answer?.ok) onState(await answer.json());
    if (answer?.status !== 403) setTimeout(connect, RETRY_MS);
  };
}

connect();
