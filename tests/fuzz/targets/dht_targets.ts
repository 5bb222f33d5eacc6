/**
 * One DHT node among honest ones, with peers that ask and answer what they like.
 *
 * @module
 */
import { networkParameters } from "../../../lib/auth/network.ts";
import {
  decodeNodeRecord,
  type NodeRecord,
} from "../../../lib/auth/node_record.ts";
import { type Bytes } from "../../../lib/base/bytes.ts";
import {
  AnonNetError,
  BugError,
  errorCode,
  ProtocolError,
} from "../../../lib/base/errors.ts";
import { seededRandom } from "../../../lib/base/random.ts";
import { nativeSuite } from "../../../lib/crypto/native.ts";
import type { DhtAction, SendAction } from "../../../lib/dht/dht_action.ts";
import { DhtNode } from "../../../lib/dht/dht_node.ts";
import {
  decodeRequest,
  encodeRequest,
  encodeResponse,
} from "../../../lib/dht/messages.ts";
import {
  createStoredRecord,
  selfCertifyingKey,
} from "../../../lib/dht/records/stored_record.ts";
import { TEST_UNIX_MS, testBytes, testRecord } from "../../support/nodes.ts";
import {
  decodeStep,
  encodeStep,
  type FuzzInput,
  type FuzzTarget,
  promise,
} from "../fuzz_target.ts";

const CRYPTO = nativeSuite();
const NETWORK = networkParameters("local");

/** Peers, each on a host of its own. */
const PEERS: readonly NodeRecord[] = Array.from(
  { length: 24 },
  (_, n) =>
    testRecord(CRYPTO, 500 + n, {
      addresses: [{ host: `10.0.${n}.1`, port: 4001 }],
      expiry: TEST_UNIX_MS + 24 * 3_600_000,
    }),
);
const SELF = testRecord(CRYPTO, 499, {
  addresses: [{ host: "10.1.0.1", port: 4001 }],
  expiry: TEST_UNIX_MS + 24 * 3_600_000,
});
const PUBLISHER = CRYPTO.signer(testBytes("publisher", 32));
const KEY = selfCertifyingKey(CRYPTO, PUBLISHER.publicKey, 0);

/** What comes to the node, and what its own callers ask of it. */
const KIND = {
  request: 0,
  response: 1,
  failure: 2,
  link: 3,
  lost: 4,
  find: 5,
  value: 6,
  put: 7,
};
const KINDS = Object.keys(KIND).length;

/** Tables, lists and stores hold no more than this in runs of some hundred messages. */
const MOST = { contacts: 2000, relays: 4096, calls: 400, lookups: 200 };

/** One node at work. */
class Run {
  readonly #node = new DhtNode({
    crypto: CRYPTO,
    network: NETWORK,
    random: seededRandom(8),
    selfId: SELF.nodeId,
    selfPlace: SELF.place,
  });
  readonly #words = new Set<string>();
  /** Calls that wait for an answer, oldest first. */
  readonly #calls: SendAction[] = [];
  readonly #tasks = new Set<number>();
  #nowMs = 0;

  play(input: FuzzInput): string {
    this.#take(this.#node.start(SELF, [], 0, this.#unixMs));
    for (const peer of PEERS.slice(0, 12)) {
      this.#take(this.#node.onLink(peer, 0, this.#unixMs));
    }
    for (const bytes of input) {
      const { kind, delayMs, body } = decodeStep(bytes, KINDS);
      this.#wait(delayMs);
      this.#do(kind, body);
      this.#check();
    }
    this.#end();
    return [...this.#words].sort().join(" ");
  }

  get #unixMs(): number {
    return TEST_UNIX_MS + this.#nowMs;
  }

  #do(kind: number, body: Bytes): void {
    const node = this.#node;
    const { record, rest } = peerOf(body);
    const [nowMs, unixMs] = [this.#nowMs, this.#unixMs];
    switch (kind) {
      case KIND.request:
        return this.#request(record, rest);
      case KIND.response: {
        const call = this.#calls.shift();
        const address = call?.to.addresses[0];
        if (call === undefined || address === undefined) return;
        return this.#take(
          node.onResponse(call.rpcId, rest, address, nowMs, unixMs),
        );
      }
      case KIND.failure: {
        const call = this.#calls.shift();
        if (call === undefined) return;
        return this.#take(node.onFailure(call.rpcId, nowMs, unixMs));
      }
      case KIND.link:
        return this.#take(node.onLink(record, nowMs, unixMs));
      case KIND.lost:
        return this.#take(node.onLinkLost(record.nodeId, nowMs));
      case KIND.find:
        return this.#begun(node.findNode(record.place, nowMs, unixMs));
      case KIND.value:
        return this.#begun(node.findValue(KEY, undefined, nowMs, unixMs));
      default:
        return this.#begun(node.put(storedRecord(1), nowMs, unixMs));
    }
  }

  #request(record: NodeRecord, bytes: Bytes): void {
    const peer = { nodeId: record.nodeId, record };
    try {
      const { response, actions } = this.#node.onRequest(
        peer,
        bytes,
        this.#nowMs,
        this.#unixMs,
      );
      promise(
        response.length <= 65_536 - 64,
        `${response.length} bytes answered`,
      );
      this.#words.add(`asked ${decodeRequest(NETWORK, bytes).type}`);
      this.#take(actions);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      this.#words.add(error.code);
    }
  }

  #begun(
    { taskId, actions }: { taskId: number; actions: readonly DhtAction[] },
  ): void {
    this.#tasks.add(taskId);
    this.#take(actions);
  }

  #take(actions: readonly DhtAction[]): void {
    for (const action of actions) {
      this.#words.add(action.type);
      switch (action.type) {
        case "send":
          this.#calls.push(action);
          break;
        case "cancel": {
          const at = this.#calls.findIndex(({ rpcId }) =>
            rpcId === action.rpcId
          );
          if (at >= 0) this.#calls.splice(at, 1);
          break;
        }
        case "verify":
          this.#verify(action.verifyId, action.encoded);
          break;
        case "blame":
          this.#words.add(action.code);
          break;
        case "nodes":
        case "values":
        case "stored":
        case "busy":
          promise(this.#tasks.delete(action.taskId), "a task ended twice");
      }
    }
  }

  #verify(verifyId: number, encoded: readonly Bytes[]): void {
    const records: NodeRecord[] = [];
    let lie: string | undefined;
    for (const bytes of encoded) {
      try {
        records.push(decodeNodeRecord(CRYPTO, NETWORK, bytes, this.#unixMs));
      } catch (error) {
        if (!(error instanceof AnonNetError) || error instanceof BugError) {
          throw error;
        }
        lie = errorCode(error);
        break;
      }
    }
    this.#take(
      this.#node.onVerified(
        verifyId,
        { records, lie },
        this.#nowMs,
        this.#unixMs,
      ),
    );
  }

  #wait(delayMs: number): void {
    const untilMs = this.#nowMs + delayMs;
    for (let turns = 0; this.#node.deadlineMs <= untilMs; turns++) {
      promise(turns < 20_000, "its deadlines never end");
      this.#nowMs = Math.max(this.#nowMs, this.#node.deadlineMs);
      this.#take(this.#node.onTime(this.#nowMs, this.#unixMs));
    }
    this.#nowMs = untilMs;
  }

  #check(): void {
    const { contacts, relays, calls, lookups, recordBytes } = this.#node
      .statistics();
    promise(contacts <= MOST.contacts, `${contacts} contacts`);
    promise(relays <= MOST.relays, `${relays} relays`);
    promise(calls <= MOST.calls, `${calls} calls`);
    promise(lookups <= MOST.lookups, `${lookups} look-ups`);
    promise(recordBytes <= 64 * 1024 * 1024, `${recordBytes} bytes stored`);
  }

  /** All peers are gone: whatever was asked for ends. */
  #end(): void {
    for (let round = 0; round < 20 && this.#tasks.size > 0; round++) {
      this.#wait(60_000);
    }
    promise(this.#tasks.size === 0, `${this.#tasks.size} tasks never end`);
    if (this.#node.statistics().records === 0) return;
    this.#wait(49 * 3_600_000);
    const { records, recordBytes } = this.#node.statistics();
    promise(records === 0 && recordBytes === 0, `${records} records stay`);
  }
}

function peerOf(body: Bytes): { record: NodeRecord; rest: Bytes } {
  const record = PEERS[(body[0] ?? 0) % PEERS.length] ?? SELF;
  return { record, rest: body.slice(1) };
}

function storedRecord(sequence: number) {
  return createStoredRecord(NETWORK, PUBLISHER, {
    key: KEY,
    sequence,
    expiry: TEST_UNIX_MS + 3_600_000,
    value: testBytes("value", 300),
  });
}

/** A step whose first byte names a peer. */
function by(
  kind: number,
  peer: number,
  bytes: Uint8Array,
  delayMs = 50,
): Bytes {
  const body = new Uint8Array(1 + bytes.length);
  body[0] = peer;
  body.set(bytes, 1);
  return encodeStep(kind, body, delayMs);
}

function honestRuns(): FuzzInput[] {
  const none = new Uint8Array(0);
  const records = PEERS.slice(0, 8).map(({ encoded }) => encoded);
  const news = PEERS.slice(12).map(({ encoded }) => encoded);
  const nodes = encodeResponse({ type: "nodes", records });
  const done = encodeResponse({ type: "done" });
  const relays = encodeResponse({
    type: "relays",
    records: news,
    cursor: new Uint8Array(8),
    more: false,
  });
  const { encoded } = storedRecord(1);
  const value = encodeResponse({ type: "value", records: [encoded] });
  const asks = [
    encodeRequest({ type: "ping" }),
    encodeRequest({ type: "find_node", target: KEY }),
    encodeRequest({ type: "store", record: encoded }),
    encodeRequest({ type: "find_value", key: KEY }),
    encodeRequest({ type: "list_relays", cursor: none }),
    encodeRequest({ type: "announce", records: news }),
  ];
  const answers = (...bytes: Uint8Array[]) =>
    bytes.map((response, peer) => by(KIND.response, peer, response));
  return [
    asks.map((request, peer) => by(KIND.request, peer, request)),
    [...asks, ...asks].map((request) => by(KIND.request, 1, request, 0)),
    answers(...new Array<Bytes>(30).fill(nodes)),
    [
      by(KIND.find, 3, none),
      ...answers(nodes, nodes, nodes, done, relays, nodes),
    ],
    [by(KIND.value, 3, none), ...answers(nodes, value, nodes, value)],
    [by(KIND.put, 3, none), ...answers(nodes, nodes, nodes, done, done, done)],
    [
      by(KIND.link, 14, none),
      by(KIND.lost, 14, none),
      by(KIND.failure, 0, none),
    ],
    answers(...new Array<Bytes>(12).fill(relays)),
  ];
}

const NODE: FuzzTarget = {
  name: "dht/node",
  about: "a DHT node: requests and answers of peers, and the time between them",
  hasSteps: true,
  allowed: [],
  cpu: { baseMs: 250, perKibMs: 10 },
  seeds: honestRuns,
  run: (input) => new Run().play(input),
};

/** Targets of the DHT's machines. */
export const DHT_TARGETS: readonly FuzzTarget[] = [NODE];
