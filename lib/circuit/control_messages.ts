/**
 * What a client and the last hop of its circuit say to each other: CBOR maps,
 * told apart by `type`.
 *
 *     to the relay                        back to the client
 *     extend {record, request}            extended {reply}
 *                                         extend_failed {code}
 *     dht_get {id, key}                   dht_found {id, record} | dht_missing {id}
 *     dht_put {id, record}                dht_stored {id, copies} | dht_rejected {id, code}
 *     establish_intro {body}              intro_established {body}
 *     introduce1 {body}                   introduce_ack {body}
 *                                         introduce2 {body}
 *     establish_rendezvous {body}         rendezvous_established {body}
 *     rendezvous1 {body}                  rendezvous2 {body}
 *     ping {id}                           pong {id}
 *     close {code}                        close {code}
 *
 * Strict both ways: an unknown type, an unknown field, or a message that only
 * the other side may send is an error. What the bodies hold is for the services
 * to define; here they have a length.
 *
 * @see protocol §5.4 "The control stream"
 * @module
 */
import type { Bytes } from "../base/bytes.ts";
import { ProtocolError } from "../base/errors.ts";
import { PROTOCOL } from "../auth/network.ts";
import { encodeCbor } from "../wire/cbor.ts";
import { decodeFields, type Fields } from "../wire/fields.ts";
import { REPLY_BYTES, REQUEST_BYTES } from "./handshake.ts";

/** Protocol: longest stored record on a circuit: 16 KiB of value, and its frame. */
export const MAX_RECORD_BYTES = 17 * 1024;
/** Protocol: bytes of a DHT key. */
const DHT_KEY_BYTES = 32;
/** Protocol: ids of requests and pings are below 2³². */
const MAX_ID = 2 ** 32 - 1;
/** Most storing nodes that a put can report: replicas times copies of each. */
const MAX_COPIES = 8 * 20;
/** Longest name of a message type, in bytes. */
const MAX_TYPE_BYTES = 32;

/** Protocol: why a relay did not extend; what the wire carries is the index. */
export const EXTEND_FAILURES = [
  /** It must not: itself, the hop before, a record that is not valid or not of that node. */
  "refused",
  /** No relay answers there, or another one. */
  "unreachable",
  /** The next relay did not answer in time. */
  "timeout",
  /** The next relay closed the stream instead of answering. */
  "closed",
  /** Too much to do; the next relay or we. */
  "overloaded",
] as const;

/** Why a relay did not extend. */
export type ExtendFailure = typeof EXTEND_FAILURES[number];

/** Protocol: why an end closes a circuit; what the wire carries is the index. */
export const CLOSE_REASONS = [
  /** It is no longer needed. */
  "done",
  /** The other side broke the protocol. */
  "protocol",
  /** The other side did not answer in time. */
  "timeout",
  /** Too much to do. */
  "overloaded",
  /** The node stops. */
  "stopping",
] as const;

/** Why an end closes a circuit. */
export type CloseReason = typeof CLOSE_REASONS[number];

/** Protocol: why a record was not stored; what the wire carries is the index. */
export const REJECT_REASONS = [
  /** The record is not valid. */
  "invalid",
  /** A newer one is stored already. */
  "older",
  /** No storing node was found or took it. */
  "unreachable",
  /** Too much to do. */
  "overloaded",
] as const;

/** Why a record was not stored. */
export type RejectReason = typeof REJECT_REASONS[number];

/** Messages whose body belongs to the services, and how long it may be. */
const BODY_BYTES = {
  establish_intro: 4096,
  introduce1: 8192,
  establish_rendezvous: 4096,
  rendezvous1: 8192,
  intro_established: 1024,
  introduce_ack: 1024,
  introduce2: 8192,
  rendezvous_established: 1024,
  rendezvous2: 8192,
} as const;

/** A message of the services, to a relay. */
export interface ServiceRequest {
  /** Which. */
  readonly type:
    | "establish_intro"
    | "introduce1"
    | "establish_rendezvous"
    | "rendezvous1";
  /** Opaque; at most {@linkcode BODY_BYTES}, and maybe none. */
  readonly body: Bytes;
}

/** A message of the services, from a relay. */
export interface ServiceReply {
  /** Which. */
  readonly type:
    | "intro_established"
    | "introduce_ack"
    | "introduce2"
    | "rendezvous_established"
    | "rendezvous2";
  /** Opaque; at most {@linkcode BODY_BYTES}, and maybe none. */
  readonly body: Bytes;
}

/** Ask the last hop for another one behind it. */
export interface Extend {
  /** Told apart by this. */
  readonly type: "extend";
  /**
   * Node record of the next relay, as it travels: who it is, and where it says that it
   * listens. Not verified yet.
   */
  readonly record: Bytes;
  /** A create request ({@linkcode REQUEST_BYTES}), to be passed on as it is. */
  readonly request: Bytes;
}

/** Ask the last hop to look something up, or to store it. */
export type DhtRequest =
  | { readonly type: "dht_get"; readonly id: number; readonly key: Bytes }
  | { readonly type: "dht_put"; readonly id: number; readonly record: Bytes };

/** The answer to a {@linkcode DhtRequest} of the same id. */
export type DhtReply =
  | { readonly type: "dht_found"; readonly id: number; readonly record: Bytes }
  | { readonly type: "dht_missing"; readonly id: number }
  | {
    readonly type: "dht_stored";
    readonly id: number;
    readonly copies: number;
  }
  | {
    readonly type: "dht_rejected";
    readonly id: number;
    readonly code: RejectReason;
  };

/** An end goes away; the last thing that it says. */
export interface Close {
  /** Told apart by this. */
  readonly type: "close";
  /** Why. */
  readonly code: CloseReason;
}

/** What a client may say to the last hop. */
export type RelayBound =
  | Extend
  | DhtRequest
  | ServiceRequest
  | { readonly type: "ping"; readonly id: number }
  | Close;

/** What the last hop may say to the client. */
export type ClientBound =
  | { readonly type: "extended"; readonly reply: Bytes }
  | { readonly type: "extend_failed"; readonly code: ExtendFailure }
  | DhtReply
  | ServiceReply
  | { readonly type: "pong"; readonly id: number }
  | Close;

/** Encode a message. @throws {RangeError} when a body is too long. */
export function encodeControl(message: RelayBound | ClientBound): Bytes {
  switch (message.type) {
    case "extend_failed":
      return encodeCode(message, EXTEND_FAILURES.indexOf(message.code));
    case "close":
      return encodeCode(message, CLOSE_REASONS.indexOf(message.code));
    case "dht_rejected":
      return encodeCode(message, REJECT_REASONS.indexOf(message.code));
    case "extend":
    case "extended":
    case "dht_get":
    case "dht_put":
    case "dht_found":
    case "dht_missing":
    case "dht_stored":
    case "ping":
    case "pong":
      return encodeCbor({ ...message });
    default:
      if (message.body.length > BODY_BYTES[message.type]) {
        throw new RangeError(`Cannot encode ${message.type}: body too long`);
      }
      return encodeCbor({ ...message });
  }
}

/**
 * Decode what a client said.
 *
 * @throws {ProtocolError} `circuit.control_type` for another type, or `wire.*`.
 */
export function decodeRelayBound(bytes: Uint8Array): RelayBound {
  return decode(bytes, TO_RELAY);
}

/**
 * Decode what a last hop said.
 *
 * @throws {ProtocolError} `circuit.control_type` for another type, or `wire.*`.
 */
export function decodeClientBound(bytes: Uint8Array): ClientBound {
  return decode(bytes, TO_CLIENT);
}

type Readers<Message extends { readonly type: string }> = {
  readonly [Type in Message["type"]]: (
    fields: Fields,
  ) => Omit<Extract<Message, { readonly type: Type }>, "type">;
};

const readId = (fields: Fields) => ({ id: fields.uint("id", MAX_ID) });

const readRecord = (fields: Fields) => ({
  ...readId(fields),
  record: fields.bytes("record", { max: MAX_RECORD_BYTES }),
});

const readClose = (fields: Fields) => ({
  code: readCode(fields, CLOSE_REASONS),
});

const readBody = (type: keyof typeof BODY_BYTES) => (fields: Fields) => ({
  body: fields.bytes("body", { max: BODY_BYTES[type] }),
});

const TO_RELAY: ReadonlyMap<string, (fields: Fields) => object> = readers<
  Exclude<RelayBound, ServiceRequest>
>({
  extend: (fields) => ({
    record: fields.bytes("record", { max: PROTOCOL.maxNodeRecordBytes }),
    request: fields.bytes("request", { length: REQUEST_BYTES }),
  }),
  dht_get: (fields) => ({
    ...readId(fields),
    key: fields.bytes("key", { length: DHT_KEY_BYTES }),
  }),
  dht_put: readRecord,
  ping: readId,
  close: readClose,
}, [
  "establish_intro",
  "introduce1",
  "establish_rendezvous",
  "rendezvous1",
]);

const TO_CLIENT: ReadonlyMap<string, (fields: Fields) => object> = readers<
  Exclude<ClientBound, ServiceReply>
>({
  extended: (fields) => ({
    reply: fields.bytes("reply", { length: REPLY_BYTES }),
  }),
  extend_failed: (fields) => ({ code: readCode(fields, EXTEND_FAILURES) }),
  dht_found: readRecord,
  dht_missing: readId,
  dht_stored: (fields) => ({
    ...readId(fields),
    copies: fields.uint("copies", MAX_COPIES),
  }),
  dht_rejected: (fields) => ({
    ...readId(fields),
    code: readCode(fields, REJECT_REASONS),
  }),
  pong: readId,
  close: readClose,
}, [
  "intro_established",
  "introduce_ack",
  "introduce2",
  "rendezvous_established",
  "rendezvous2",
]);

function readers<Message extends { readonly type: string }>(
  table: Readers<Message>,
  services: readonly (keyof typeof BODY_BYTES)[],
): ReadonlyMap<string, (fields: Fields) => object> {
  return new Map<string, (fields: Fields) => object>([
    ...Object.entries<(fields: Fields) => object>(table),
    ...services.map((type) => [type, readBody(type)] as const),
  ]);
}

function decode<Message>(
  bytes: Uint8Array,
  table: ReadonlyMap<string, (fields: Fields) => object>,
): Message {
  const fields = decodeFields(bytes, "control message");
  const type = fields.text("type", MAX_TYPE_BYTES);
  const read = table.get(type);
  if (read === undefined) {
    throw new ProtocolError(
      "circuit.control_type",
      "Cannot read control message: not a type for this side",
    );
  }
  const message = { type, ...read(fields) };
  fields.finish();
  // The table's type has tied each reader to its member of the union.
  return message as Message;
}

function encodeCode(message: { readonly type: string }, code: number): Bytes {
  return encodeCbor({ ...message, code });
}

/** One of `codes`, by its index. */
function readCode<Code extends string>(
  fields: Fields,
  codes: readonly Code[],
): Code {
  return codes[fields.uint("code", codes.length - 1)] as Code;
}
