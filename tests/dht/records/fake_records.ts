/**
 * Node records without signatures, for machines that take verified ones: ids and
 * addresses as the test wants them.
 *
 * @module
 */
import type { NodeRecord } from "../../../lib/auth/node_record.ts";
import type { SocketAddress } from "../../../lib/auth/socket_address.ts";
import type { Bytes } from "../../../lib/base/bytes.ts";
import { testBytes, testContent } from "../../support/nodes.ts";

/** 32 bytes: those given, then zeros. */
export function point(...leading: number[]): Bytes {
  const bytes = new Uint8Array(32);
  bytes.set(leading);
  return bytes;
}

/** An address that no other number has, in a /16 and a /24 of its own. */
export function addressOf(number: number): SocketAddress {
  const host = `${11 + (number >> 16)}.${(number >> 8) & 255}.${
    number & 255
  }.1`;
  return { host, port: 4001 };
}

/** What a test changes about a record. */
export type RecordChanges = Partial<
  Pick<NodeRecord, "addresses" | "flags" | "sequence" | "expiry">
>;

/** A record of the node with this id, which is its place as well. */
export function fakeRecord(
  nodeId: Bytes,
  changes: RecordChanges = {},
): NodeRecord {
  const [a = 0, b = 0, c = 0] = nodeId;
  const content = testContent({
    addresses: [addressOf((a << 16 | b << 8 | c) & 0xffff)],
    ...changes,
  });
  return {
    ...content,
    network: "local",
    publicKey: nodeId,
    nodeId,
    place: new Uint8Array(nodeId),
    signature: testBytes("signature", 64),
    encoded: new Uint8Array([...nodeId, content.sequence % 251]),
  };
}
