/**
 * Exports that the program does not need and that stay all the same, each with
 * the reason. An entry whose export is needed, or gone, fails the test.
 *
 * @module
 */

/** One exception to `tools/unused_exports.ts`. */
export interface AllowedExport {
  /** Path in the project. */
  readonly file: string;
  readonly name: string;
  /** Why it is neither private nor gone. */
  readonly reason: string;
}

/** The exceptions. */
export const ALLOWED_EXPORTS: readonly AllowedExport[] = [
  {
    file: "lib/service/meeting/introduction_work.ts",
    name: "isWorkDone",
    reason:
      'the rule of protocol §7.4 "Introduction" alone, which tests hold against another ' +
      "implementation, and against what clients compute",
  },
];
