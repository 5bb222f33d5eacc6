/**
 * A report as a table for people: one line for each row.
 *
 * @module
 */
import type { CircuitFigures, SiegeRow } from "./siege_row.ts";
import type { ReportRow, SimulationReport } from "./simulation.ts";

/** Title of a column, and what stands in it. */
type Column = readonly [title: string, text: (row: ReportRow) => string];

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

/** In a siege: how it stands comes first, and what costs what is left out. */
const SIEGE_COLUMNS: readonly Column[] = [
  ...COLUMNS.slice(0, 3),
  ["BOTS", besieged(({ bots }) => String(bots))],
  ["INVENTED", besieged(({ told }) => String(told))],
  ["GUARD", besieged(({ circuits }) => percent(circuits.guard))],
  ["LAST HOP", besieged(({ circuits }) => percent(circuits.last))],
  ["BOTH ENDS", besieged(({ circuits }) => percent(circuits.ends))],
  ["NOT BUILT", besieged(({ circuits }) => notBuilt(circuits))],
  ["NEW: GUARD", besieged(({ newClients }) => percent(newClients.guard))],
  ["BOTH ENDS", besieged(({ newClients }) => percent(newClients.ends))],
  ["LOOK-UPS", ({ nodeLookups }) => percent(nodeLookups.found)],
  ["VALUES", ({ valueLookups }) => percent(valueLookups.found)],
  ["LISTED", besieged(({ relayLists }) => percent(relayLists.honest))],
  ["REAL", besieged(({ relayLists }) => percent(relayLists.real))],
  [
    "CLIENTS: LISTED",
    besieged(({ clientLists }) => percent(clientLists.honest)),
  ],
  ["REAL", besieged(({ clientLists }) => percent(clientLists.real))],
  [
    "JOINED",
    besieged(({ newcomers: { count, joined } }) => `${joined}/${count}`),
  ],
  ["KNOWN", besieged(({ newcomers }) => percent(newcomers.known))],
];

/** The lines of a table; the last one is the sum. */
export function formatReport({ rows, total }: SimulationReport): string[] {
  const columns = total.siege === undefined ? COLUMNS : SIEGE_COLUMNS;
  const lines = [
    columns.map(([title]) => title),
    ...rows.map((row) => columns.map(([, text]) => text(row))),
    columns.map(([, text], index) => index === 0 ? "ALL" : text(total)),
  ];
  const widths = columns.map((_, column) =>
    Math.max(...lines.map((line) => line[column]?.length ?? 0))
  );
  return lines.map((line) =>
    line.map((text, column) => text.padStart(widths[column] ?? 0)).join("  ")
  );
}

/** A column of a siege. */
function besieged(text: (siege: SiegeRow) => string): Column[1] {
  return ({ siege }) => siege === undefined ? "-" : text(siege);
}

function notBuilt({ built, failed }: CircuitFigures): string {
  return percent(failed / (built + failed));
}

function percent(share: number | null): string {
  return share === null ? "-" : `${(100 * share).toFixed(2)}%`;
}

function fixed(value: number | null, digits: number): string {
  return value === null ? "-" : value.toFixed(digits);
}
