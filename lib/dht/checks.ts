/**
 * Node records being verified: the driver checks signature and proof of work, which
 * takes time, and hands back what passed.
 *
 *     check ─▶ verify … onVerified ─▶ the purpose that they were checked for
 *
 * @see protocol §4.3 "Requests and responses"
 * @module
 */
import type { VerifyAction } from "./dht_action.ts";
import type { CheckAction, CheckPurpose } from "./part_action.ts";

/**
 * Tuning: answers being verified at once. What comes on top counts as unanswered:
 * a flood of records must not gather in memory while proofs of work are checked.
 */
export const MAX_VERIFYING = 512;

/** Verifications under way. */
export class Checks {
  readonly #purposes = new Map<number, CheckPurpose>();
  #nextId = 1;

  /**
   * Have records verified.
   *
   * @returns `undefined`, and nothing begins, when too many are under way.
   */
  check({ encoded, purpose }: CheckAction): VerifyAction | undefined {
    if (this.#purposes.size >= MAX_VERIFYING) return undefined;
    const verifyId = this.#nextId++;
    this.#purposes.set(verifyId, purpose);
    return { type: "verify", verifyId, encoded };
  }

  /**
   * The driver has verified.
   *
   * @returns What for; `undefined` when it has told so before.
   */
  onVerified(verifyId: number): CheckPurpose | undefined {
    const purpose = this.#purposes.get(verifyId);
    this.#purposes.delete(verifyId);
    return purpose;
  }
}
