/**
 * Two nodes and a stranger, and handshakes between any of them, for tests.
 *
 * @module
 */
import { Identity } from "../../lib/auth/identity.ts";
import {
  customNetwork,
  type NetworkParameters,
  networkParameters,
} from "../../lib/auth/network.ts";
import {
  createNodeRecord,
  decodeNodeRecord,
  type NodeRecord,
} from "../../lib/auth/node_record.ts";
import type { Bytes } from "../../lib/base/bytes.ts";
import { type Random, seededRandom } from "../../lib/base/random.ts";
import { nativeSuite } from "../../lib/crypto/native.ts";
import {
  type Admission,
  AnswererHandshake,
  type AnswererOptions,
} from "../../lib/link/answerer_handshake.ts";
import {
  DiallerHandshake,
  type DiallerOptions,
} from "../../lib/link/dialler_handshake.ts";
import type {
  HandshakeAction,
  HandshakeResult,
} from "../../lib/link/handshake.ts";
import { NonceCache } from "../../lib/link/nonce_cache.ts";

export const crypto = nativeSuite();
export const network: NetworkParameters = networkParameters("local");
export const otherNetwork: NetworkParameters = customNetwork({
  name: "other",
  powDifficulty: 0,
  allowPrivateAddresses: true,
});
export const random: Random = seededRandom(7);
export const UNIX_MS = 1_700_000_000_000;

export const ADMISSION: Admission = {
  observedAddress: { host: "192.0.2.7", port: 4001 },
  limits: { requestsPerSecond: 200, circuitsPerSecond: 50, openStreams: 512 },
};

/** One node: its identity and its record. */
export interface TestNode {
  readonly identity: Identity;
  readonly record: NodeRecord;
}

/** A node that listens somewhere on loopback. */
export function testNode(params: NetworkParameters = network): TestNode {
  const identity = Identity.generate(crypto, random);
  const record = createNodeRecord(crypto, identity, params, {
    onionKey: random.bytes(32),
    addresses: [{ host: "127.0.0.1", port: 4001 }],
    flags: ["relay"],
    bandwidth: 1_000_000,
    sequence: UNIX_MS,
    expiry: UNIX_MS + 3_600_000,
    workNonce: random.bytes(16),
  });
  return { identity, record };
}

export const alice: TestNode = testNode();
export const bob: TestNode = testNode();
export const mallory: TestNode = testNode();

/** Alice's machine that dials Bob, but for what `options` changes. */
export function dialler(
  options: Partial<DiallerOptions> = {},
): DiallerHandshake {
  return new DiallerHandshake({
    crypto,
    random,
    network,
    identity: alice.identity,
    record: alice.record.encoded,
    peerKey: bob.identity.publicKey,
    ...options,
  });
}

/** Bob's machine that answers, but for what `options` changes. */
export function answerer(
  options: Partial<AnswererOptions> = {},
): AnswererHandshake {
  return new AnswererHandshake({
    crypto,
    random,
    network,
    identity: bob.identity,
    record: bob.record.encoded,
    nonces: new NonceCache(),
    ...options,
  });
}

/** The only message that the actions send. */
export function sent(actions: readonly HandshakeAction[]): Bytes {
  const messages = actions.flatMap((action) =>
    action.type === "send" ? [action.message] : []
  );
  const [message] = messages;
  if (message === undefined || messages.length !== 1) {
    throw new Error(`Cannot take one message of ${JSON.stringify(actions)}`);
  }
  return message;
}

/** Code of the failure among the actions, if any. */
export function failure(
  actions: readonly HandshakeAction[],
): string | undefined {
  return actions.find((action) => action.type === "failed")?.error.code;
}

/** What the actions have established, if anything. */
export function established(
  actions: readonly HandshakeAction[],
): HandshakeResult | undefined {
  return actions.find((action) => action.type === "established")?.result;
}

/** How a handshake over a faithful or faithless carrier ended. */
export interface Outcome {
  readonly dialler: HandshakeResult | string | undefined;
  readonly answerer: HandshakeResult | string | undefined;
  /** Every message as it was sent, before tampering. */
  readonly messages: readonly Bytes[];
}

/** What lies between the two: gives what arrives instead of message number `index`. */
export type Carrier = (message: Bytes, index: number) => Bytes | undefined;

/** Run a handshake to its end; a node that waits in vain hears the end of the stream. */
export function runHandshake(
  dial: DiallerHandshake,
  answer: AnswererHandshake,
  carrier: Carrier = (message) => message,
): Outcome {
  const messages: Bytes[] = [];
  const outcome: {
    dialler?: HandshakeResult | string;
    answerer?: HandshakeResult | string;
  } = {};
  const toDialler: Bytes[] = [];
  const toAnswerer: Bytes[] = [];
  const carry = (
    side: "dialler" | "answerer",
    actions: readonly HandshakeAction[],
  ) => {
    for (const action of actions) {
      if (action.type === "send") {
        const arrived = carrier(action.message, messages.length);
        messages.push(action.message);
        if (arrived === undefined) continue;
        (side === "dialler" ? toAnswerer : toDialler).push(arrived);
      } else if (action.type === "failed") outcome[side] = action.error.code;
      else if (action.type === "established") outcome[side] = action.result;
      else admit(side, action.record);
    }
  };
  const admit = (side: "dialler" | "answerer", encoded: Bytes | undefined) => {
    const record = encoded &&
      decodeNodeRecord(crypto, network, encoded, UNIX_MS);
    if (side === "answerer") {
      carry(side, answer.onAdmitted(record, ADMISSION, 0));
    } else if (record !== undefined) carry(side, dial.onAdmitted(record, 0));
  };
  carry("answerer", answer.start(0));
  carry("dialler", dial.start(0));
  for (;;) {
    const forAnswerer = toAnswerer.shift();
    const forDialler = toDialler.shift();
    if (forAnswerer !== undefined) {
      carry("answerer", answer.onMessage(forAnswerer, 0));
    }
    if (forDialler !== undefined) {
      carry("dialler", dial.onMessage(forDialler, 0));
    }
    if (forAnswerer === undefined && forDialler === undefined) break;
  }
  carry("dialler", dial.onEnd(0));
  carry("answerer", answer.onEnd(0));
  return {
    dialler: outcome.dialler,
    answerer: outcome.answerer,
    messages,
  };
}
