/**
 * DHT messages: deterministic CBOR maps, one request and one response per RPC.
 *
 *     request                            response
 *     m 1  Ping                          r 0  Done
 *     m 2  FindNode {target}             r 1  Nodes {records}
 *     m 3  Store {record}                r 0  Done, or r 4  Refused {code}
 *     m 4  FindValue {key, publisher?}   r 2  Value {records}, or r 1  Nodes {records}
 *     m 5  ListRelays {cursor}           r 3  Relays {records, cursor, more}
 *     m 6  Announce {records}            r 0  Done
 *
 * Any request may be answered with `Refused`. Records travel as the bytes that
 * were signed; verifying them is the receiver's next step, not the decoder's.
 * Every list has a limit, so that no node is made to work through hundreds.
 *
 * @see protocol §4.3 "Requests and responses"
 * @module
 */
import type { PublicKey } from "../auth/identity.ts";
import type { Place } from "../auth/proof_of_work.ts";
import type { NetworkParameters } from "../auth/network.ts";
import type { Bytes } from "../base/bytes.ts";
import { ProtocolError } from "../base/errors.ts";
import { ED25519_KEY_BYTES } from "../crypto/suite.ts";
import { type CborValue, encodeCbor } from "../wire/cbor.ts";
import { encodeRecordsField } from "./records/records_field.ts";
import { decodeFields, type Fields } from "../wire/fields.ts";
import { DEFAULT_FRAME_BYTES } from "../wire/framing.ts";
import { type DhtKey, POINT_BYTES } from "./records/distance.ts";
import { REJECT_CODES, type RejectCode } from "./records/record_store.ts";
import { maxStoredRecordBytes } from "./records/stored_record.ts";

/** Protocol: the one method of the DHT; its bodies fit in a default frame. */
export const DHT_METHOD = "dht";
/** Protocol: node records in one page of the relay list, and in one announcement. */
export const MAX_PAGE_RECORDS = 48;
/** Protocol: most bytes of a cursor. */
export const MAX_CURSOR_BYTES = 32;
/** Protocol: bytes that stored records may take in one answer. */
export const MAX_VALUE_ANSWER_BYTES = DEFAULT_FRAME_BYTES - 1024;
/** A refusal's code, on the wire. */
const MAX_CODE_BYTES = 32;

/** What one node asks another. */
export type DhtRequest =
  | { readonly type: "ping" }
  | { readonly type: "find_node"; readonly target: Place | DhtKey }
  | { readonly type: "store"; readonly record: Bytes }
  | {
    readonly type: "find_value";
    readonly key: DhtKey;
    /** Only this publisher's record. */
    readonly publisher?: PublicKey;
  }
  | {
    readonly type: "list_relays";
    /** Where the last page ended; empty at first. */
    readonly cursor: Bytes;
  }
  | { readonly type: "announce"; readonly records: readonly Bytes[] };

/** Why a request was turned down: a store's reason, or one of any request. */
export type RefusalCode = RejectCode | "busy" | "not_a_server";

/** What the other answers. */
export type DhtResponse =
  | { readonly type: "done" }
  | { readonly type: "nodes"; readonly records: readonly Bytes[] }
  | { readonly type: "value"; readonly records: readonly Bytes[] }
  | {
    readonly type: "relays";
    readonly records: readonly Bytes[];
    /** Where this page ended. */
    readonly cursor: Bytes;
    /** Whether there is another page now. */
    readonly more: boolean;
  }
  | { readonly type: "refused"; readonly code: RefusalCode };

const METHOD = {
  ping: 1,
  find_node: 2,
  store: 3,
  find_value: 4,
  list_relays: 5,
  announce: 6,
} as const;

const RESULT = { done: 0, nodes: 1, value: 2, relays: 3, refused: 4 } as const;

const ANSWERS: Readonly<
  Record<DhtRequest["type"], readonly DhtResponse["type"][]>
> = {
  ping: ["done"],
  find_node: ["nodes"],
  store: ["done"],
  find_value: ["value", "nodes"],
  list_relays: ["relays"],
  announce: ["done"],
};

const REFUSAL_CODES: ReadonlySet<string> = new Set<RefusalCode>([
  ...REJECT_CODES,
  "busy",
  "not_a_server",
]);

/** A request as bytes. */
export function encodeRequest(request: DhtRequest): Bytes {
  const { type, ...fields } = request;
  const m = METHOD[type];
  return "records" in fields
    ? encodeWithRecords({ m }, fields.records)
    : encodeCbor({ m, ...fields });
}

/** A response as bytes. */
export function encodeResponse(response: DhtResponse): Bytes {
  const { type, ...fields } = response;
  const r = RESULT[type];
  if (!("records" in fields)) return encodeCbor({ r, ...fields });
  const { records, ...others } = fields;
  return encodeWithRecords({ r, ...others }, records);
}

/**
 * A map of a few fields, and of records. A fourth of the time that a node spent on
 * answers went into encoding these as values like any other.
 */
function encodeWithRecords(
  fields: Readonly<Record<string, CborValue>>,
  records: readonly Bytes[],
): Bytes {
  const map = encodeCbor(fields);
  const field = encodeRecordsField(records);
  const message = new Uint8Array(map.length + field.length);
  message.set(map);
  message.set(field, map.length);
  // The head of a map holds the number of its pairs in the low bits, up to 23.
  message[0] = (map[0] as number) + 1;
  return message;
}

/**
 * Read a request.
 *
 * @throws {ProtocolError} `dht.method`, or `wire.*`.
 */
export function decodeRequest(
  network: NetworkParameters,
  bytes: Uint8Array,
): DhtRequest {
  const fields = decodeFields(bytes, "request", LIMITS);
  const request = readRequest(network, fields);
  fields.finish();
  return request;
}

/**
 * Read the response to a request of `type`.
 *
 * @throws {ProtocolError} `dht.response` for the answer to another question, or `wire.*`.
 */
export function decodeResponse(
  network: NetworkParameters,
  type: DhtRequest["type"],
  bytes: Uint8Array,
): DhtResponse {
  const fields = decodeFields(bytes, "response", LIMITS);
  const response = readResponse(network, fields);
  fields.finish();
  if (response.type !== "refused" && !ANSWERS[type].includes(response.type)) {
    throw new ProtocolError(
      "dht.response",
      `Cannot read response: ${response.type} is no answer to ${type}`,
    );
  }
  return response;
}

/** A map of scalars and of one list: nothing deeper or longer is a message. */
const LIMITS = { maxDepth: 2, maxItems: 16 + MAX_PAGE_RECORDS };

function readRequest(network: NetworkParameters, fields: Fields): DhtRequest {
  const method = fields.uint("m");
  switch (method) {
    case METHOD.ping:
      return { type: "ping" };
    case METHOD.find_node:
      return { type: "find_node", target: readPoint(fields, "target") };
    case METHOD.store: {
      // A record that is too large is refused with a code: let it come in.
      const max = 2 * maxStoredRecordBytes(network);
      return { type: "store", record: fields.bytes("record", { max }) };
    }
    case METHOD.find_value:
      return {
        type: "find_value",
        key: readPoint(fields, "key"),
        ...fields.has("publisher") &&
          {
            publisher: fields.bytes("publisher", { length: ED25519_KEY_BYTES }),
          },
      };
    case METHOD.list_relays:
      return {
        type: "list_relays",
        cursor: fields.bytes("cursor", { max: MAX_CURSOR_BYTES }),
      };
    case METHOD.announce:
      return {
        type: "announce",
        records: readNodes(network, fields, MAX_PAGE_RECORDS),
      };
    default:
      throw new ProtocolError(
        "dht.method",
        `Cannot read request: method ${method}`,
      );
  }
}

function readResponse(network: NetworkParameters, fields: Fields): DhtResponse {
  const result = fields.uint("r");
  switch (result) {
    case RESULT.done:
      return { type: "done" };
    case RESULT.nodes:
      return { type: "nodes", records: readNodes(network, fields, network.k) };
    case RESULT.value: {
      const records = fields.bytesArray("records", network.maxPublishers, {
        max: maxStoredRecordBytes(network),
      });
      if (records.length > 0) return { type: "value", records };
      throw new ProtocolError("dht.response", "Cannot read response: no value");
    }
    case RESULT.relays:
      return {
        type: "relays",
        records: readNodes(network, fields, MAX_PAGE_RECORDS),
        cursor: fields.bytes("cursor", { max: MAX_CURSOR_BYTES }),
        more: fields.boolean("more"),
      };
    case RESULT.refused: {
      const code = fields.text("code", MAX_CODE_BYTES);
      // A reason of a later version is a refusal all the same.
      return { type: "refused", code: isRefusal(code) ? code : "busy" };
    }
    default:
      throw new ProtocolError(
        "dht.response",
        `Cannot read response: result ${result}`,
      );
  }
}

function isRefusal(code: string): code is RefusalCode {
  return REFUSAL_CODES.has(code);
}

function readPoint(fields: Fields, name: string): DhtKey {
  return fields.bytes(name, { length: POINT_BYTES });
}

function readNodes(
  network: NetworkParameters,
  fields: Fields,
  maxItems: number,
): Bytes[] {
  const max = network.maxNodeRecordBytes;
  return fields.bytesArray("records", maxItems, { max });
}
