/**
 * Why a peer that has proven who it is did not take our record. It does not say; but
 * where both records keep our rules, what is left to differ is the clock.
 *
 * @see protocol §3.4 "What is refused"
 * @module
 */
import type { Identity } from "../../auth/identity.ts";
import type { NetworkParameters } from "../../auth/network.ts";
import { type NodeRecord, RecordDateError } from "../../auth/node_record.ts";
import type { RecordVerifier } from "../../auth/record_verifier.ts";
import { type Bytes, equalBytes } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import { AnonNetError, UnreachableError } from "../../base/errors.ts";
import type { RecordRefusedError } from "../../link/dialler_handshake.ts";

/** What both records are held against. */
interface RefusedRecordOptions {
  readonly clock: Clock;
  readonly network: NetworkParameters;
  readonly verifier: RecordVerifier;
  readonly identity: Identity;
  /** Our record, which was refused. */
  readonly record?: Bytes | undefined;
}

/**
 * The refusal in words of what is known: a {@linkcode RecordDateError} where our clock
 * is off by what the peer signed.
 */
export async function explainRefusal(
  refusal: RecordRefusedError,
  options: RefusedRecordOptions,
): Promise<AnonNetError> {
  const { clock, network, verifier, identity, record } = options;
  const unixMs = clock.unixMs();
  const peer = await verified(verifier, refusal.peerRecord, unixMs);
  if (peer instanceof RecordDateError) return peer;
  if (peer instanceof AnonNetError || record === undefined) return refusal;
  const own = await verified(verifier, record, unixMs);
  if (own instanceof RecordDateError) return outdated(own);
  if (own instanceof AnonNetError) return refusal;
  if (!equalBytes(own.publicKey, identity.publicKey)) return refusal;
  const why = "the peer does not take ours at its time";
  const aheadMs = peer.sequence - unixMs;
  if (aheadMs > 0) return new RecordDateError(why, aheadMs);
  // Its time is that of its own record at least: ours can be from the future for it
  // only if we are ahead of that by more than is borne.
  const { maxClockSkewMs } = network;
  return aheadMs < -maxClockSkewMs
    ? new RecordDateError(why, -maxClockSkewMs)
    : refusal;
}

/** Says nothing of the peer: we sign another soon. */
function outdated(cause: RecordDateError): UnreachableError {
  return new UnreachableError(
    "link.refused",
    "Cannot link: our own record is of another time, since the clock was set",
    { cause: new Error(cause.message) }, // as a date error it would be taken for one of the peer
  );
}

/** A record, or what is wrong with it. */
async function verified(
  verifier: RecordVerifier,
  encoded: Bytes,
  unixMs: number,
): Promise<NodeRecord | AnonNetError> {
  try {
    return await verifier.verify(encoded, unixMs);
  } catch (error) {
    if (error instanceof AnonNetError) return error;
    throw error;
  }
}
