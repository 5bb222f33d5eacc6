/**
 * A report as a picture for documents: its charts one below the other, as SVG that is
 * light or dark as its reader wishes. The same report gives the same bytes.
 *
 *     ┌ title, legend ─────────┐
 *     │ most ┤   ╱╲___         │  an axis from 0, over virtual time
 *     │    0 └──────────       │
 *     └────────────────────────┘
 *
 * @module
 */
import type { ReportChart } from "./report_charts.ts";

const WIDTH = 800;
/** Of one chart, and of what is drawn in it. */
const HEIGHT = 210;
const PLOT = { left: 70, top: 40, width: 710, height: 130 } as const;
const COLOURS = ["a", "b", "c", "d"] as const;
/** Ticks of the value axis above 0. */
const TICKS = 4;

const STYLE = `
  svg { color-scheme: light dark; font: 13px system-ui, sans-serif; }
  .page { fill: #ffffff; }
  text { fill: #1b1f29; }
  .soft { fill: #525a6b; font-size: 12px; }
  .title { font-size: 15px; font-weight: 600; }
  .grid { stroke: #dfe3ec; }
  .line { fill: none; stroke-width: 2; stroke-linejoin: round; }
  .a { stroke: #2f62d9; } .b { stroke: #b1420f; } .c { stroke: #12693a; } .d { stroke: #8a3fb5; }
  @media (prefers-color-scheme: dark) {
    .page { fill: #101218; }
    text { fill: #e9ebf1; }
    .soft { fill: #a9b0c0; }
    .grid { stroke: #2d3240; }
    .a { stroke: #7ea6ff; } .b { stroke: #ff9a6b; } .c { stroke: #6fdc9d; } .d { stroke: #d49bff; }
  }`;

/** The picture of some charts. @param title What was simulated, for those who hear it. */
export function drawCharts(
  title: string,
  charts: readonly ReportChart[],
): string {
  const height = HEIGHT * charts.length + 10;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" role="img">`,
    `<title>${escaped(title)}</title>`,
    `<style>${STYLE}\n</style>`,
    `<rect class="page" width="${WIDTH}" height="${height}"/>`,
    ...charts.flatMap((chart, index) => [
      `<g transform="translate(0 ${HEIGHT * index + 5})">`,
      ...chartLines(chart),
      `</g>`,
    ]),
    `</svg>`,
    ``,
  ].join("\n");
}

function chartLines({ title, unit, minutes, lines }: ReportChart): string[] {
  const { left, top, width, height } = PLOT;
  const most = roundedUp(
    Math.max(...lines.flatMap(({ values }) => values.map((v) => v ?? 0))),
    unit,
  );
  const first = minutes[0] ?? 0;
  const span = Math.max(1, (minutes.at(-1) ?? 1) - first);
  const x = (minute: number) => left + width * (minute - first) / span;
  const y = (value: number) => top + height * (1 - value / most);
  const end = `y="${top + height + 18}"`;
  let legendX = left + 16 + 8.8 * title.length;
  return [
    `<text class="title" x="${left}" y="24">${escaped(title)}</text>`,
    ...lines.flatMap(({ label }, index) => {
      const at = legendX;
      legendX += 44 + 7 * label.length;
      return [
        `<path class="line ${colourOf(index)}" d="M${fixed(at)} 20h18"/>`,
        `<text class="soft" x="${fixed(at + 24)}" y="24">${
          escaped(label)
        }</text>`,
      ];
    }),
    ...Array.from({ length: TICKS + 1 }, (_, index) => {
      const value = most * index / TICKS;
      const at = fixed(y(value));
      return `<path class="grid" d="M${left} ${at}h${width}"/>` +
        `<text class="soft" x="${left - 8}" y="${
          fixed(y(value) + 4)
        }" text-anchor="end">${valueText(value, unit)}</text>`;
    }),
    `<text class="soft" x="${left}" ${end}>${first} min</text>`,
    `<text class="soft" x="${left + width}" ${end} text-anchor="end">${
      minutes.at(-1) ?? 0
    } min</text>`,
    ...lines.map(({ values }, index) =>
      `<path class="line ${colourOf(index)}" d="${
        pathOf(values.map((value, row) =>
          value === null ? undefined : [x(minutes[row] ?? 0), y(value)]
        ))
      }"/>`
    ),
  ];
}

/** A line that stops where nothing is known. A point alone is a short dash. */
function pathOf(points: readonly (readonly number[] | undefined)[]): string {
  let text = "";
  points.forEach((point, index) => {
    if (point === undefined) return;
    const at = point.map(fixed).join(" ");
    const isAlone = points[index - 1] === undefined &&
      points[index + 1] === undefined;
    text += points[index - 1] === undefined ? `M${at}` : `L${at}`;
    if (isAlone) text += "h4";
  });
  return text;
}

/** The next number with one digit that is not 0, or 1 for shares. */
function roundedUp(value: number, unit: ReportChart["unit"]): number {
  if (unit === "share" && value > 0.5) return 1;
  if (value <= 0) return 1;
  const step = 10 ** Math.floor(Math.log10(value));
  return Math.ceil(value / step) * step;
}

function valueText(value: number, unit: ReportChart["unit"]): string {
  if (unit === "share") return `${Number((100 * value).toPrecision(3))} %`;
  const text = String(Number(value.toPrecision(3)));
  return unit === "ms" ? `${text} ms` : text;
}

function colourOf(index: number): string {
  return COLOURS[index % COLOURS.length] ?? "a";
}

function fixed(value: number): string {
  return String(Math.round(value * 10) / 10);
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;");
}
