/**
 * A report as charts: what a page and a picture show of a simulated network.
 *
 * @module
 */
import type { ReportRow } from "./simulation.ts";

/** One line of a chart. */
export interface ReportLine {
  readonly label: string;
  /** One value for each row; `null` where there is none. */
  readonly values: readonly (number | null)[];
}

/** One chart: lines over virtual time. */
export interface ReportChart {
  readonly title: string;
  /** Shares go from 0 to 1. */
  readonly unit: "share" | "count" | "ms";
  /** Of each row, in minutes since the first relay started. */
  readonly minutes: readonly number[];
  readonly lines: readonly ReportLine[];
}

/** The charts of the rows so far. In a siege, how that stands comes first. */
export function chartsOf(rows: readonly ReportRow[]): ReportChart[] {
  const minutes = rows.map(({ minute }) => minute);
  const chart = (
    title: string,
    unit: ReportChart["unit"],
    lines: Readonly<Record<string, (row: ReportRow) => number | null>>,
  ): ReportChart => ({
    title,
    unit,
    minutes,
    lines: Object.entries(lines).map(([label, value]) => ({
      label,
      values: rows.map(value),
    })),
  });
  const isSiege = rows.some(({ siege }) => siege !== undefined);
  return [
    ...isSiege
      ? [
        chart("Circuits with hostile relays", "share", {
          "guard, for a month": ({ siege }) => siege?.circuits.guard ?? null,
          "guard, new": ({ siege }) => siege?.newClients.guard ?? null,
          "both ends, for a month": ({ siege }) => siege?.circuits.ends ?? null,
          "both ends, new": ({ siege }) => siege?.newClients.ends ?? null,
        }),
      ]
      : [],
    chart("Relays", "count", {
      "all": ({ relays }) => relays,
      "hostile": ({ hostile }) => hostile,
    }),
    chart("Look-ups that succeed", "share", {
      "of nodes": ({ nodeLookups }) => nodeLookups.found,
      "of values": ({ valueLookups }) => valueLookups.found,
    }),
    chart("Time of a look-up", "ms", {
      "of nodes": ({ nodeLookups }) => nodeLookups.ms,
      "of values": ({ valueLookups }) => valueLookups.ms,
    }),
    chart("What relays know", "share", {
      "listed, of all": ({ listed }) => listed,
      "gone, of the listed": ({ deadListed }) => deadListed,
      "gone, of contacts": ({ deadContacts }) => deadContacts,
    }),
    chart("Requests and dials of a relay in a minute", "count", {
      "requests": ({ requestsPerRelayMinute }) => requestsPerRelayMinute,
      "dials": ({ dialsPerRelayMinute }) => dialsPerRelayMinute,
    }),
  ];
}
