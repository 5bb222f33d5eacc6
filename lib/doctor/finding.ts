/**
 * A finding: how one thing of a node is, and what to do next.
 *
 * @module
 */

/** How a thing is. */
export type Grade = "ok" | "warn" | "fail";

/** One line. */
export interface Finding {
  readonly what: string;
  readonly grade: Grade;
  /** What was seen. */
  readonly words: string;
  /** What to do next; none where all is well. */
  readonly next?: string;
}

/** All is well with a thing. */
export function ok(what: string, words: string): Finding {
  return { what, grade: "ok", words };
}

/** Something is to be mended. */
export function bad(
  what: string,
  grade: "warn" | "fail",
  words: string,
  next: string,
): Finding {
  return { what, grade, words, next };
}
