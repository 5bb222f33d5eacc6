/**
 * Files in which long simulations keep a line for each seed, so that they go on where
 * they ended.
 *
 * @module
 */

/** The lines that are there; none where the file is not. */
export async function readLines<Line>(path: string): Promise<Line[]> {
  try {
    const text = await Deno.readTextFile(path);
    return text.split("\n").filter((line) => line !== "")
      .map((line) => JSON.parse(line));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** `200` is 1 to 200, `21-40` those. */
export function seedsOf(text: string): number[] {
  const [, from, to] = /^(?:([0-9]+)-)?([0-9]+)$/.exec(text) ?? [];
  const [first, last] = [Number(from ?? 1), Number(to)];
  if (!(last >= first)) throw new TypeError(`Cannot run seeds "${text}"`);
  return Array.from({ length: last - first + 1 }, (_, index) => first + index);
}
