/**
 * Tables as commands print them: one line for each thing, columns in line.
 *
 * @module
 */
import type { JsonObject, JsonValue } from "../../control/json.ts";

/** One column: which fact, its title, and how it is written. */
export type Column = readonly [
  name: string,
  title: string,
  write: (value: JsonValue | undefined) => string,
];

/** Lines of a table, the titles first. */
export function formatTable(
  columns: readonly Column[],
  facts: readonly JsonObject[],
): string[] {
  const rows = [
    columns.map(([, title]) => title),
    ...facts.map((fact) => columns.map(([name, , write]) => write(fact[name]))),
  ];
  const widths = columns.map((_, column) =>
    Math.max(...rows.map((row) => row[column]?.length ?? 0))
  );
  return rows.map((row) =>
    row.map((text, column) => text.padEnd(widths[column] ?? 0)).join("  ")
      .trimEnd()
  );
}

/** `yes`, or `no`. */
export function yesOrNo(value: JsonValue | undefined): string {
  return value === true ? "yes" : "no";
}
