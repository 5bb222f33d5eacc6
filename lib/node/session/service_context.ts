/**
 * What both sides of services work with.
 *
 * @module
 */
import type { NetworkParameters } from "../../auth/network.ts";
import {
  claimedSequence,
  decodeNodeRecord,
  type NodeRecord,
} from "../../auth/node_record.ts";
import type { RecordVerifier } from "../../auth/record_verifier.ts";
import { equalBytes } from "../../base/bytes.ts";
import type { Clock, Moment } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";
import type { CryptoSuite } from "../../crypto/suite.ts";
import type { SessionQuota } from "../../session/quota.ts";
import type { Log } from "../../log/log.ts";
import type { Circuits } from "../circuit/circuits.ts";
import type { RelayDirectory } from "../directory/relay_directory.ts";

/** Shared by all services and clients of a node. */
export interface ServiceContext {
  readonly circuits: Circuits;
  /** All relays that are known. */
  readonly relays: Pick<RelayDirectory, "snapshot">;
  readonly crypto: CryptoSuite;
  readonly random: Random;
  readonly clock: Clock;
  readonly network: NetworkParameters;
  readonly verifier: RecordVerifier;
  /** What all sessions of the process may hold. */
  readonly quota: SessionQuota;
  readonly log: Log;
  /** Something behind our circuits is silent: see whether first hops answer. */
  readonly doubt: () => void;
}

/** Both times of now. */
export function momentOf(clock: Clock): Moment {
  return { nowMs: clock.nowMs(), unixMs: clock.unixMs() };
}

/** A relay, and whether it stood in our list already. */
export interface NamedRelay {
  readonly record: NodeRecord;
  readonly isKnown: boolean;
}

/**
 * The relay that a message of the other side names: checked, and in its newest
 * form, since a relay changes its onion key while old messages go around.
 *
 * @throws {ProtocolError} `auth.record_*`.
 * @throws {UnreachableError} `auth.verifier_busy`.
 */
export async function namedRelay(
  context: ServiceContext,
  encoded: Uint8Array,
): Promise<NamedRelay> {
  const { crypto, network, relays, verifier } = context;
  // As of its own time: whether a record of some age is taken would tell the other side
  // our clock. The relay before it on the circuit judges its dates.
  const sequence = claimedSequence(network, encoded);
  const record = decodeNodeRecord(crypto, network, encoded, sequence);
  const known = knownRelay(relays, record);
  // Its work was checked when it came into the list.
  if (known !== undefined) {
    return { record: newerOf(record, known), isKnown: true };
  }
  return { record: await verifier.verify(encoded, sequence), isKnown: false };
}

/** What is known of a relay now, where an older record of it is held. */
export function newestRecord(
  { relays }: ServiceContext,
  record: NodeRecord,
): NodeRecord {
  const known = knownRelay(relays, record);
  return known === undefined ? record : newerOf(record, known);
}

function knownRelay(
  relays: ServiceContext["relays"],
  record: NodeRecord,
): NodeRecord | undefined {
  return relays.snapshot().find(({ nodeId }) =>
    equalBytes(nodeId, record.nodeId)
  );
}

function newerOf(a: NodeRecord, b: NodeRecord): NodeRecord {
  return a.sequence > b.sequence ? a : b;
}
