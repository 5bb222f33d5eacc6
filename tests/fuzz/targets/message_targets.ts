/**
 * Messages between neighbours, between a client and its relays, and between nodes of
 * the DHT: each decoder, and that what it accepts is the one encoding of its value.
 *
 * @module
 */
import { networkParameters } from "../../../lib/auth/network.ts";
import { type Bytes, concat } from "../../../lib/base/bytes.ts";
import {
  BODY_BYTES,
  CELL_BYTES,
  COMMAND,
  decodeFirstCell,
  decodePayload,
  encodeFirstCell,
  encodePayload,
} from "../../../lib/circuit/cell.ts";
import {
  type ClientBound,
  decodeClientBound,
  decodeRelayBound,
  encodeControl,
  type RelayBound,
} from "../../../lib/circuit/control_messages.ts";
import { REPLY_BYTES, REQUEST_BYTES } from "../../../lib/circuit/handshake.ts";
import { nativeSuite } from "../../../lib/crypto/native.ts";
import {
  decodeRequest as decodeDhtRequest,
  decodeResponse,
  type DhtRequest,
  type DhtResponse,
  encodeRequest,
  encodeResponse,
} from "../../../lib/dht/messages.ts";
import {
  decodeChallengeBody,
  decodeHandshake,
  encodeChallengeBody,
  encodeHandshake,
} from "../../../lib/link/handshake_message.ts";
import {
  decodeAnswer,
  decodeRequest,
  encodeAnswer,
  encodeRequestStream,
} from "../../../lib/link/rpc.ts";
import { encodeCbor } from "../../../lib/wire/cbor.ts";
import { testBytes, testRecord } from "../../support/nodes.ts";
import {
  ADMISSION,
  answerer,
  dialler,
  runHandshake,
} from "../../link/handshake_world.ts";
import { type FuzzTarget, promise } from "../fuzz_target.ts";
import { decoderTarget, typeOf } from "./decoder_target.ts";

const CRYPTO = nativeSuite();
const NETWORK = networkParameters("local");
const RECORDS: readonly Bytes[] = [1, 2, 3].map((seed) =>
  testRecord(CRYPTO, seed).encoded
);
const [RECORD = new Uint8Array(0)] = RECORDS;
const KEY = testBytes("key", 32);

/** The messages of an honest handshake, and what refuses one. */
function handshakeMessages(): Bytes[] {
  return [
    ...runHandshake(dialler(), answerer()).messages,
    encodeHandshake({ type: "welcome", ...ADMISSION }),
    encodeHandshake({ type: "refused", code: "busy" }),
  ];
}

const HANDSHAKE_MESSAGE = decoderTarget({
  name: "link/handshake_message",
  about: "messages of the link handshake",
  allowed: ["wire", "link"],
  seeds: handshakeMessages,
  decode: decodeHandshake,
  encode: encodeHandshake,
  word: typeOf,
});

const CHALLENGE_BODY = decoderTarget({
  name: "link/challenge_body",
  about: "the signed part of a challenge",
  allowed: ["wire", "link"],
  seeds: () => [
    encodeChallengeBody({
      version: 1,
      versions: [1, 2],
      publicKey: KEY,
      nonce: KEY,
      record: RECORD,
    }),
  ],
  decode: decodeChallengeBody,
  encode: encodeChallengeBody,
});

const RPC_REQUEST = decoderTarget({
  name: "link/rpc_request",
  about: "frames of requests",
  allowed: ["wire", "link"],
  seeds: () =>
    ["link.ping", "dht", "test.echo"].map((method) =>
      encodeRequestStream(method, testBytes("body", 100)).subarray(5)
    ),
  decode: decodeRequest,
  encode: ({ method, body }) => encodeCbor({ method, body }),
});

const RPC_ANSWER = decoderTarget({
  name: "link/rpc_answer",
  about: "frames of answers",
  allowed: ["wire", "link"],
  seeds: () => [
    encodeAnswer({ type: "ok", body: testBytes("body", 100) }).subarray(4),
    encodeAnswer({ type: "error", code: "busy" }).subarray(4),
  ],
  decode: decodeAnswer,
  encode: (answer) => encodeAnswer(answer).subarray(4),
  word: typeOf,
});

const TO_RELAY: readonly RelayBound[] = [
  { type: "extend", record: RECORD, request: new Uint8Array(REQUEST_BYTES) },
  { type: "dht_get", id: 7, key: KEY },
  { type: "dht_put", id: 2 ** 32 - 1, record: testBytes("record", 300) },
  { type: "establish_intro", body: testBytes("body", 100) },
  { type: "introduce1", body: testBytes("body", 100) },
  { type: "establish_rendezvous", body: testBytes("body", 30) },
  { type: "rendezvous1", body: testBytes("body", 30) },
  { type: "ping", id: 1 },
  { type: "close", code: "done" },
];

const TO_CLIENT: readonly ClientBound[] = [
  { type: "extended", reply: new Uint8Array(REPLY_BYTES) },
  { type: "extend_failed", code: "timeout" },
  { type: "dht_found", id: 7, record: testBytes("record", 300) },
  { type: "dht_missing", id: 7 },
  { type: "dht_stored", id: 7, copies: 20 },
  { type: "dht_rejected", id: 7, code: "older" },
  { type: "introduce2", body: testBytes("body", 100) },
  { type: "rendezvous2", body: testBytes("body", 30) },
  { type: "pong", id: 1 },
  { type: "close", code: "stopping" },
];

/** Control messages that clients say, encoded. */
export const RELAY_BOUND: readonly Bytes[] = TO_RELAY.map(encodeControl);
/** Control messages that relays say, encoded. */
export const CLIENT_BOUND: readonly Bytes[] = TO_CLIENT.map(encodeControl);

const RELAY_CONTROL = decoderTarget({
  name: "circuit/relay_control",
  about: "control messages to a relay",
  allowed: ["wire", "circuit"],
  seeds: () => RELAY_BOUND,
  decode: decodeRelayBound,
  encode: encodeControl,
  word: typeOf,
});

const CLIENT_CONTROL = decoderTarget({
  name: "circuit/client_control",
  about: "control messages to a client",
  allowed: ["wire", "circuit"],
  seeds: () => CLIENT_BOUND,
  decode: decodeClientBound,
  encode: encodeControl,
  word: typeOf,
});

/** A cell at its end, with a body of this length. */
function cellOf(bodyBytes: number): Bytes {
  const cell = new Uint8Array(CELL_BYTES);
  encodePayload(cell, COMMAND.control, testBytes("body", bodyBytes));
  return cell;
}

const CELLS = decoderTarget({
  name: "circuit/cells",
  about: "opened cells, and first cells of streams",
  allowed: [],
  seeds:
    () => [cellOf(0), cellOf(100), cellOf(BODY_BYTES), encodeFirstCell(KEY)],
  decode: (bytes) => {
    const cell = new Uint8Array(CELL_BYTES);
    cell.set(bytes.subarray(0, CELL_BYTES));
    return {
      cell,
      payload: decodePayload(cell),
      first: decodeFirstCell(cell, 32),
    };
  },
  check: ({ cell, payload, first }) => {
    if (first !== undefined) {
      promise(isSame(encodeFirstCell(first), cell), "zeros were not zero");
    }
    if (payload === undefined) return;
    const { command, body } = payload;
    const again = new Uint8Array(cell);
    encodePayload(again, command, body);
    promise(isSame(again, cell), "another encoding of a payload was accepted");
  },
  word: ({ payload, first }) => `${payload?.command} ${first !== undefined}`,
});

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.every((byte, index) => byte === b[index]);
}

const DHT_REQUESTS: readonly DhtRequest[] = [
  { type: "ping" },
  { type: "find_node", target: KEY },
  { type: "store", record: testBytes("record", 200) },
  { type: "find_value", key: KEY },
  { type: "find_value", key: KEY, publisher: KEY },
  { type: "list_relays", cursor: new Uint8Array(8) },
  { type: "announce", records: RECORDS },
];

const DHT_RESPONSES: readonly DhtResponse[] = [
  { type: "done" },
  { type: "nodes", records: RECORDS },
  { type: "value", records: [testBytes("value", 200)] },
  { type: "relays", records: RECORDS, cursor: new Uint8Array(8), more: true },
  { type: "refused", code: "busy" },
];

const DHT_REQUEST = decoderTarget({
  name: "dht/request",
  about: "requests of the DHT",
  allowed: ["wire", "dht"],
  seeds: () => DHT_REQUESTS.map(encodeRequest),
  decode: (bytes) => decodeDhtRequest(NETWORK, bytes),
  encode: encodeRequest,
  word: typeOf,
});

const DHT_RESPONSE = decoderTarget({
  name: "dht/response",
  about: "responses of the DHT, to each request",
  allowed: ["wire", "dht"],
  seeds: () =>
    DHT_RESPONSES.map((response, index) =>
      concat(Uint8Array.of(index), encodeResponse(response))
    ),
  decode: (bytes) => {
    const asked = DHT_REQUESTS[(bytes[0] ?? 0) % DHT_REQUESTS.length];
    const response = bytes.slice(1);
    const type = asked?.type ?? "ping";
    return { response, value: decodeResponse(NETWORK, type, response) };
  },
  check: ({ response, value }) => {
    // A reason that we do not know is one that we know: `busy`.
    if (value.type === "refused") return;
    promise(
      isSame(encodeResponse(value), response),
      "another encoding of a response was accepted",
    );
  },
  word: ({ value }) => typeOf(value),
});

/** Targets that are messages of links, circuits and the DHT. */
export const MESSAGE_TARGETS: readonly FuzzTarget[] = [
  HANDSHAKE_MESSAGE,
  CHALLENGE_BODY,
  RPC_REQUEST,
  RPC_ANSWER,
  RELAY_CONTROL,
  CLIENT_CONTROL,
  CELLS,
  DHT_REQUEST,
  DHT_RESPONSE,
];
