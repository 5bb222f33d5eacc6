/**
 * Which suite to use: the platform's where it proves itself, noble's for every
 * primitive where it does not.
 *
 * @see docs/decisions/0003-two-crypto-implementations.md
 * @module
 */
import { type Primitive, PRIMITIVES, selfTest } from "./_self_test.ts";
import { nativeSuite } from "./native.ts";
import { nobleSuite } from "./noble.ts";
import type { CryptoSuite } from "./suite.ts";

export type { Primitive };

/** How a suite is chosen. */
export interface SelectOptions {
  /** The suite on trial. Default: the platform's. */
  readonly candidate?: CryptoSuite;
  /**
   * Hears of each primitive that noble takes over, and why: a `BugError`
   * `crypto.self_test` with a cause. The node goes on, only slower.
   */
  readonly onFallback?: (primitive: Primitive, reason: unknown) => void;
}

/**
 * Test the platform's cryptography against known answers and take what passes.
 * About 40 ms, once at start.
 *
 * @returns A suite whose name tells what it is made of: `native`, or
 * `native with noble kem, scrypt`, or `noble` when nothing passed.
 */
export async function selectSuite(
  options: SelectOptions = {},
): Promise<CryptoSuite> {
  const { candidate = nativeSuite(), onFallback } = options;
  const noble = nobleSuite();
  const parts = Object.keys(PRIMITIVES) as Primitive[];
  const failed: Primitive[] = [];
  let suite = candidate;
  for (const primitive of parts) {
    try {
      // With what has failed before already replaced: the hash serves others.
      await selfTest(suite, primitive);
    } catch (reason) {
      failed.push(primitive);
      onFallback?.(primitive, reason);
      suite = { ...suite, ...pick(noble, PRIMITIVES[primitive]) };
    }
  }
  if (failed.length === 0) return candidate;
  const name = failed.length === parts.length
    ? noble.name
    : `${candidate.name} with ${noble.name} ${failed.join(", ")}`;
  return { ...suite, name };
}

function pick(
  suite: CryptoSuite,
  methods: readonly (keyof CryptoSuite)[],
): Partial<CryptoSuite> {
  return Object.fromEntries(methods.map((method) => [method, suite[method]]));
}
