/** Charts, by uPlot. */
import { rate } from "./dom.js";
import { STRINGS } from "./strings.js";

const HEIGHT = 220;

/** The chart of traffic in `box`: made anew where colours or width change. */
export class TrafficChart {
  #box;
  #plot;
  #data = [[0], [0], [0]];

  constructor(box) {
    this.#box = box;
    new ResizeObserver(() => {
      const { clientWidth: width } = box;
      if (width > 0) this.#plot?.setSize({ width, height: HEIGHT });
    }).observe(box);
    matchMedia("(prefers-color-scheme: dark)")
      .addEventListener("change", () => this.#make());
    this.#make();
  }

  update({ unixMs, stepMs, in: received, out: sent }) {
    const first = unixMs - (received.length - 1) * stepMs;
    const times = received.map((_, index) => (first + index * stepMs) / 1000);
    this.#data = [times, received, sent];
    this.#plot.setData(this.#data);
    this.#box.setAttribute("role", "img");
    this.#box.setAttribute(
      "aria-label",
      STRINGS.now.trafficWords(rate(received.at(-1)), rate(sent.at(-1))),
    );
  }

  #make() {
    this.#plot?.destroy();
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const axis = {
      stroke: colour("--text"),
      grid: { stroke: colour("--line") },
    };
    const series = (label, name) => ({
      label,
      stroke: colour(name),
      width: 2,
      points: { show: false },
    });
    this.#plot = new globalThis.uPlot(
      {
        width: this.#box.clientWidth || 600,
        height: HEIGHT,
        cursor: { show: false },
        legend: { live: false },
        scales: {
          y: { range: (_, __, max) => [0, Math.max(1000, max * 1.1)] },
        },
        axes: [axis, {
          ...axis,
          size: 80,
          values: (_, values) => values.map(rate),
        }],
        series: [
          {},
          series(STRINGS.now.received, "--in"),
          series(STRINGS.now.sent, "--out"),
        ],
      },
      this.#data,
      this.#box,
    );
  }
}
