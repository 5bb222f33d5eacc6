/**
 * A report as a table for people: one line for each row.
 *
 * @module
 */
import type { SimulationReport } from "./simulation.ts";
import type { SurveyRow } from "./survey.ts";

/** Title of a column, and what stands in it. */
type Column = readonly [title: string, text: (row: SurveyRow) => string];

const COLUMNS: readonly Column[] = [
  ["MINUTE", ({ minute }) => String(minute)],
  ["RELAYS", ({ relays }) => String(relays)],
  ["HOSTILE", ({ hostile }) => String(hostile)],
  ["LOOK-UPS", ({ nodeLookups }) => String(nodeLookups.count)],
  ["FOUND", ({ nodeLookups }) => percent(nodeLookups.found)],
  ["HOPS", ({ nodeLookups }) => fixed(nodeLookups.hops, 2)],
  ["ASKED", ({ nodeLookups }) => fixed(nodeLookups.asked, 1)],
  ["MS", ({ nodeLookups }) => fixed(nodeLookups.ms, 0)],
  ["VALUES", ({ valueLookups }) => percent(valueLookups.found)],
  ["ASKED", ({ valueLookups }) => fixed(valueLookups.asked, 1)],
  ["MS", ({ valueLookups }) => fixed(valueLookups.ms, 0)],
  ["COPIES", ({ copies }) => fixed(copies, 1)],
  ["REQUESTS/MIN", (row) => fixed(row.requestsPerRelayMinute, 1)],
  ["DIALS/MIN", (row) => fixed(row.dialsPerRelayMinute, 1)],
  ["LINKS", ({ linksPerRelay }) => fixed(linksPerRelay, 0)],
  ["CONTACTS", ({ contacts }) => fixed(contacts, 0)],
  ["DEAD", ({ deadContacts }) => percent(deadContacts)],
  ["LISTED", ({ listed }) => percent(listed)],
  ["DEAD", ({ deadListed }) => percent(deadListed)],
];

/** The lines of a table; the last one is the sum. */
export function formatReport({ rows, total }: SimulationReport): string[] {
  const lines = [
    COLUMNS.map(([title]) => title),
    ...rows.map((row) => COLUMNS.map(([, text]) => text(row))),
    COLUMNS.map(([, text], index) => index === 0 ? "ALL" : text(total)),
  ];
  const widths = COLUMNS.map((_, column) =>
    Math.max(...lines.map((line) => line[column]?.length ?? 0))
  );
  return lines.map((line) =>
    line.map((text, column) => text.padStart(widths[column] ?? 0)).join("  ")
  );
}

function percent(share: number | null): string {
  return share === null ? "-" : `${(100 * share).toFixed(2)}%`;
}

function fixed(value: number | null, digits: number): string {
  return value === null ? "-" : value.toFixed(digits);
}
