/**
 * Contacts: relays that have answered us, with what we saw of them.
 *
 * @see protocol §4.2 "The routing table"
 * @module
 */
import type { NodeRecord } from "../../auth/node_record.ts";
import type { SocketAddress } from "../../auth/socket_address.ts";

/** An entry of the routing table. The record is shared with its other holders. */
export interface Contact {
  /** Verified; replaced by one with a higher sequence. */
  record: NodeRecord;
  /** Where it answered: one of the record's addresses. */
  address: SocketAddress;
  /** The subnet of `address`; `""` where subnets do not count. */
  group: string;
  /** When it last answered, monotonic; −Infinity when it has not yet. */
  seenMs: number;
  /** Requests in a row that it left unanswered. */
  failures: number;
}

/** Whether the node of a record may serve in the DHT. */
export function isRelay(record: NodeRecord): boolean {
  return record.flags.includes("relay");
}

/** The address of a record that equals `address`; the very object, so that it is shared. */
export function listedAddress(
  record: NodeRecord,
  address: SocketAddress,
): SocketAddress | undefined {
  return record.addresses.find(({ host, port }) =>
    host === address.host && port === address.port
  );
}
