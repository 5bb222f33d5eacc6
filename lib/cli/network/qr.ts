/**
 * A QR code (ISO/IEC 18004) in a terminal: two modules in each character, one above the other, black
 * on white whatever the terminal's own colours are.
 *
 *     upper  lower
 *     dark   dark    █
 *     dark   light   ▀
 *     light  dark    ▄
 *     light  light   a space
 *
 * @module
 */
import { encode } from "uqr";

/** Light modules around the code: readers need them. */
const QUIET_MODULES = 4;
const BLACK_ON_WHITE = "\x1b[30;107m";
const AS_BEFORE = "\x1b[0m";

/** The lines of the code for a text. */
export function qrLines(text: string): string[] {
  const { data, size } = encode(text, { ecc: "L", border: QUIET_MODULES });
  const lines: string[] = [];
  for (let row = 0; row < size; row += 2) {
    const upper = data[row] ?? [];
    const lower = data[row + 1] ?? [];
    const line = upper.map((isDark, column) =>
      halves(isDark, lower[column] === true)
    );
    lines.push(BLACK_ON_WHITE + line.join("") + AS_BEFORE);
  }
  return lines;
}

function halves(upper: boolean, lower: boolean): string {
  if (upper) return lower ? "█" : "▀";
  return lower ? "▄" : " ";
}
