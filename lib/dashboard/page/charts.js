/** Line charts, by uPlot. */

const HEIGHT = 230;

/**
 * A chart in `box`: made anew where colours change.
 *
 * @param lines Each with its label, and the name of its colour.
 * @param options `text` writes a value of the axis, `tick` one of the time; `least` is
 * the least that the axis shows, and `most` the most, where that is fixed.
 */
export class LineChart {
  #box;
  #lines;
  #options;
  #plot;
  #data;

  constructor(box, lines, options) {
    this.#box = box;
    this.#lines = lines;
    this.#options = options;
    this.#data = [[0], ...lines.map(() => [null])];
    box.setAttribute("role", "img");
    box.setAttribute("aria-label", options.title);
    new ResizeObserver(() => this.#onSize()).observe(box);
    matchMedia("(prefers-color-scheme: dark)")
      .addEventListener("change", () => this.#make());
    this.#make();
  }

  /** Show these columns; what is not seen is drawn when it is. */
  update(times, columns, words) {
    this.#data = [times, ...columns];
    this.#box.setAttribute("aria-label", words);
    if (this.#box.clientWidth > 0) this.#plot.setData(this.#data);
  }

  #onSize() {
    const { clientWidth: width } = this.#box;
    if (width === 0 || width === this.#plot.width) return;
    this.#plot.setSize({ width, height: HEIGHT });
    this.#plot.setData(this.#data);
  }

  #make() {
    this.#plot?.destroy();
    const style = getComputedStyle(document.documentElement);
    const colour = (name) => style.getPropertyValue(name).trim();
    const { text, tick, least, most } = this.#options;
    const axis = {
      stroke: colour("--soft"),
      grid: { stroke: colour("--line"), width: 1 },
      ticks: { show: false },
      font: "12px system-ui, sans-serif",
    };
    this.#plot = new globalThis.uPlot(
      {
        width: this.#box.clientWidth || 600,
        height: HEIGHT,
        cursor: { show: false },
        legend: { live: false },
        scales: {
          x: { time: false },
          y: { range: (_, __, max) => [0, most ?? Math.max(least, max * 1.1)] },
        },
        axes: [
          { ...axis, space: 64, values: (_, values) => values.map(tick) },
          { ...axis, size: 72, values: (_, values) => values.map(text) },
        ],
        series: [
          {},
          ...this.#lines.map(({ label, colour: name }) => ({
            label,
            stroke: colour(name),
            fill: `${colour(name)}22`,
            width: 2,
            points: { show: false },
          })),
        ],
      },
      this.#data,
      this.#box,
    );
  }
}

/** Of steps that end at `unixMs`, when each was, in seconds. */
export function timesOf(count, unixMs, stepMs) {
  const first = unixMs - (count - 1) * stepMs;
  return Array.from(
    { length: count },
    (_, index) => (first + index * stepMs) / 1000,
  );
}

/** The time of day, as clocks on walls here have it. */
export function clock(unixSeconds) {
  const date = new Date(unixSeconds * 1000);
  const two = (number) => String(number).padStart(2, "0");
  return `${two(date.getHours())}:${two(date.getMinutes())}`;
}
