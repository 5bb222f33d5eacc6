/**
 * Verifying the records of one answer: in order, and only as far as they are true.
 *
 * @see protocol §4.3 "Requests and responses"
 * @module
 */
import type { NodeRecord } from "../../auth/node_record.ts";
import type { RecordVerifier } from "../../auth/record_verifier.ts";
import { ProtocolError, UnreachableError } from "../../base/errors.ts";
import type { VerifiedRecords } from "../../dht/dht_action.ts";

/** What an honest node may pass on when clocks differ, or a record has just ended. */
const STALE_CODE = "auth.record_date";

/** Verify records up to the first lie. What has merely expired is left out. */
export async function verifyRecords(
  verifier: RecordVerifier,
  encoded: readonly Uint8Array[],
  unixMs: number,
): Promise<VerifiedRecords> {
  const records: NodeRecord[] = [];
  for (const bytes of encoded) {
    try {
      // Nearly all are known: no promise for each of them.
      const known = verifier.recall(bytes, unixMs);
      records.push(known ?? await verifier.verify(bytes, unixMs));
    } catch (error) {
      // Too much to verify already: what is known by now has to do.
      if (error instanceof UnreachableError) break;
      if (!(error instanceof ProtocolError)) throw error;
      if (error.code !== STALE_CODE) return { records, lie: error.code };
    }
  }
  return { records };
}
