/**
 * Where the next relays of circuits are, by their own signed records: a client that
 * could name any address would have the relay dial it, to look for open ports or to
 * have dials to good relays fail.
 *
 *     record ─┬─ checked before ───────────────────────────▶ whose, and where
 *             └─ a place ─▶ signature, dates, addresses, work ─▶ the same
 *
 * Places are few, so that records that cost their maker nothing hold up no other check.
 *
 * @see protocol §5.5 "Extending, using, destroying"
 * @module
 */
import type { NodeId } from "../../auth/identity.ts";
import type { NetworkParameters } from "../../auth/network.ts";
import type { NodeRecord } from "../../auth/node_record.ts";
import type { RecordVerifier } from "../../auth/record_verifier.ts";
import { equalBytes } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import { ProtocolError, UnreachableError } from "../../base/errors.ts";
import { Places } from "../../base/places.ts";
import type { CircuitAccount } from "../../circuit/circuit_places.ts";

/** Tuning: records of circuits that are checked at once, 10 ms each. */
export const MAX_CHECKS = 16;
/** Tuning: of these, for the circuits of one account. */
export const MAX_CHECKS_PER_ACCOUNT = 4;

/** What it is made of. */
export interface NextRelaysOptions {
  readonly network: NetworkParameters;
  readonly clock: Pick<Clock, "unixMs">;
  readonly verifier: Pick<RecordVerifier, "recall" | "verifyOverdue">;
}

/** Checks the records that circuits are extended by. */
export class NextRelays {
  readonly #options: NextRelaysOptions;
  readonly #checks = new Places(MAX_CHECKS, MAX_CHECKS_PER_ACCOUNT);

  constructor(options: NextRelaysOptions) {
    this.#options = options;
  }

  /**
   * The relay that a record is of. One whose time has been over for less than the life
   * of a record is taken: the clocks of clients differ from ours, and a machine that slept
   * finds its list old.
   *
   * @param nodeId Whose it must be.
   * @param account Whose circuit it is for.
   * @returns `undefined` when the record is not valid, or not of that relay.
   * @throws {UnreachableError} `circuit.checks_busy`, `auth.verifier_busy`: too much to do.
   */
  async find(
    nodeId: NodeId,
    encoded: Uint8Array,
    account: CircuitAccount,
  ): Promise<NodeRecord | undefined> {
    const known = this.#recall(encoded) ??
      await this.#check(encoded, account);
    const isOfIt = known?.flags.includes("relay") &&
      equalBytes(known.nodeId, nodeId);
    return isOfIt ? known : undefined;
  }

  /** A record that was checked before: most are, since they come round by gossip. */
  #recall(encoded: Uint8Array): NodeRecord | undefined {
    const { verifier, clock } = this.#options;
    try {
      return verifier.recall(encoded, clock.unixMs());
    } catch (error) {
      if (error instanceof ProtocolError) return undefined;
      throw error;
    }
  }

  async #check(
    encoded: Uint8Array,
    account: CircuitAccount,
  ): Promise<NodeRecord | undefined> {
    const { network, clock, verifier } = this.#options;
    if (!this.#checks.take(account.name)) {
      throw new UnreachableError(
        "circuit.checks_busy",
        "Cannot extend circuit: too many records are being checked",
      );
    }
    try {
      return await verifier.verifyOverdue(
        encoded,
        clock.unixMs(),
        network.maxNodeRecordLifeMs,
      );
    } catch (error) {
      if (error instanceof ProtocolError) return undefined;
      throw error;
    } finally {
      this.#checks.give(account.name);
    }
  }
}
