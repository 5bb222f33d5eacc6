/**
 * All circuits that others build through this node.
 *
 *     link ─▶ circuit stream ─▶ room? ─▶ RelayedCircuit ─┬─▶ the next relay
 *                                │ no                    ├─▶ DHT, for the client
 *                                ▼                       └─▶ introduction, rendezvous
 *                              ended
 *
 * @see protocol §5 "Circuits"
 * @module
 */
import type { NodeId } from "../../auth/identity.ts";
import type { SocketAddress } from "../../auth/socket_address.ts";
import { addressGroup, DHT_PREFIX } from "../../auth/subnet.ts";
import type { NetworkParameters } from "../../auth/network.ts";
import type { RecordVerifier } from "../../auth/record_verifier.ts";
import type { Clock } from "../../base/clock.ts";
import { AnonNetError } from "../../base/errors.ts";
import type { Random } from "../../base/random.ts";
import { Places } from "../../base/places.ts";
import { TaskSet } from "../../base/task_set.ts";
import type { TokenRate } from "../../base/token_bucket.ts";
import { CELL_BYTES } from "../../circuit/cell.ts";
import { CellQuota, QUOTA_BYTES } from "../../circuit/cell_quota.ts";
import { NO_RATE } from "../../circuit/cell_turns.ts";
import { CircuitExits } from "../../circuit/circuit_exits.ts";
import {
  type CircuitAccount,
  CircuitPlaces,
} from "../../circuit/circuit_places.ts";
import { NeighbourBudgets } from "../../circuit/neighbour_budgets.ts";
import type {
  DhtReply,
  DhtRequest,
  ServiceRequest,
} from "../../circuit/control_messages.ts";
import type { CryptoSuite } from "../../crypto/suite.ts";
import type { ByteStream } from "../../transport/transport.ts";
import { CellBuffers } from "../circuit/cell_buffers.ts";
import type { CircuitLinks } from "../circuit/circuit_links.ts";
import type { CircuitHost, OnionSecrets } from "./circuit_host.ts";
import { MeetingPoints } from "./meeting_points.ts";
import { NextRelays } from "./next_relays.ts";
import { RelayRate } from "./relay_rate.ts";
import {
  type RelayedEnd,
  type RelayedRefusal,
  RelayTraffic,
} from "./relay_traffic.ts";
import { RelayedCircuit } from "./relayed_circuit.ts";

/** What all circuits of a relay may take. Tuning. */
export interface CircuitLimits {
  /** Circuits in all, those included that are being closed. */
  readonly circuits: number;
  /** Circuits of one neighbour. One that floods us leaves room for the others. */
  readonly circuitsPerPeer: number;
  /** Time without a cell after which a circuit gives way where there is no place, ms. */
  readonly evictIdleMs: number;
  /** Create handshakes under way. Each takes a quarter of a millisecond. */
  readonly handshakes: number;
  /** DHT requests of circuits under way. Each is work for many others. */
  readonly dhtRequests: number;
  /** Bytes of cells that may wait. */
  readonly quotaBytes: number;
  /** Bytes of cells that go out, for each second and at once. */
  readonly rate: TokenRate;
}

/** Enough for a relay of a network of some thousand relays. */
export const DEFAULT_CIRCUIT_LIMITS: CircuitLimits = {
  circuits: 16_384,
  circuitsPerPeer: 2048,
  evictIdleMs: 60_000,
  handshakes: 128,
  dhtRequests: 256,
  quotaBytes: QUOTA_BYTES,
  rate: NO_RATE,
};

/**
 * Answers what a circuit's client asks of the DHT.
 *
 * @param circuit Names the asker; for limits, not to be kept.
 * @param signal Aborts when the client waits for the answer no more.
 * @throws {AnonNetError} where there is none; the client hears that it is missing
 * or was not stored.
 */
export type DhtAnswerer = (
  circuit: RelayedCircuit,
  request: DhtRequest,
  signal: AbortSignal,
) => Promise<DhtReply>;

/** What a server is made of. */
export interface CircuitServerOptions {
  readonly crypto: CryptoSuite;
  readonly clock: Clock;
  readonly random: Random;
  readonly network: NetworkParameters;
  readonly ownId: NodeId;
  readonly onionKeys: OnionSecrets;
  /** Where the next relays are. */
  readonly links: CircuitLinks;
  /** Checks the records of relays that circuits are extended to. */
  readonly verifier: Pick<RecordVerifier, "recall" | "verifyOverdue">;
  /** Without it, nothing is found and nothing stored. */
  readonly answerDht?: DhtAnswerer;
  /** What differs from {@linkcode DEFAULT_CIRCUIT_LIMITS}. */
  readonly limits?: Partial<CircuitLimits>;
  /** Something of ours failed; for the log. */
  readonly onError: (error: unknown) => void;
}

/** Numbers for a status page. */
export interface CircuitStats {
  /** Circuits by what they are now. */
  readonly states: Readonly<Record<RelayedCircuit["state"], number>>;
  /** Services that listen here, and clients that wait for one. */
  readonly listening: number;
  readonly waiting: number;
  /** Cells passed on, away from clients and towards them, ever. */
  readonly forwardCells: number;
  readonly backwardCells: number;
  /** Bytes of cells that wait, those of unfinished control messages included, and how many may. */
  readonly waitingBytes: number;
  /** Bytes of unfinished control messages. */
  readonly messageBytes: number;
  readonly quotaBytes: number;
  /** Bytes of cells that went out, ever, and streams that wait for their turn. */
  readonly sentBytes: number;
  readonly held: number;
  /** Circuits created, and turned away, ever. */
  readonly created: number;
  readonly turnedAway: number;
  /** Why they were turned away, ever. */
  readonly refusals: Readonly<Record<RelayedRefusal, number>>;
  /** How circuits ended, ever. */
  readonly ends: Readonly<Partial<Record<RelayedEnd, number>>>;
}

/** Bytes of cells passed on, ever. */
export interface CarriedBytes {
  /** Away from clients. */
  readonly forwardBytes: number;
  /** Towards them. */
  readonly backwardBytes: number;
}

/** Who creates a circuit here; a link is one. */
export interface Neighbour {
  readonly nodeId: NodeId;
  /** Whether it showed a record that says so. */
  readonly isRelay: boolean;
  readonly remoteAddress: SocketAddress;
}

/** The circuits of one relay. */
export class CircuitServer implements AsyncDisposable {
  readonly #options: CircuitServerOptions;
  readonly #host: CircuitHost<RelayedCircuit>;
  readonly #quota: CellQuota<RelayedCircuit>;
  readonly #points: MeetingPoints;
  readonly #circuits = new Set<RelayedCircuit>();
  readonly #places: CircuitPlaces<RelayedCircuit>;
  readonly #exits: CircuitExits<RelayedCircuit>;
  readonly #budgets = new NeighbourBudgets();
  readonly #dhtRequests: Places;
  readonly #traffic = new RelayTraffic();
  readonly #rate: RelayRate;
  /** Awaited on dispose. */
  readonly #tasks: TaskSet;
  #isStopped = false;
  #isResting = false;

  constructor(options: CircuitServerOptions) {
    const limits = { ...DEFAULT_CIRCUIT_LIMITS, ...options.limits };
    const { crypto, clock, random } = options;
    this.#options = options;
    this.#quota = new CellQuota(limits.quotaBytes);
    this.#rate = new RelayRate(clock, limits.rate);
    this.#points = new MeetingPoints(crypto, clock, random);
    this.#places = new CircuitPlaces(limits);
    this.#exits = new CircuitExits(limits);
    this.#dhtRequests = new Places(limits.dhtRequests);
    this.#tasks = new TaskSet(options.onError);
    this.#host = this.#hostOf(options, new Places(limits.handshakes));
  }

  /** Take a circuit that a neighbour creates. */
  accept(neighbour: Neighbour, stream: ByteStream): void {
    const account = this.#accountOf(neighbour);
    const refusal = this.#refusalOf(account);
    if (refusal !== undefined) {
      this.#traffic.onTurnedAway(refusal);
      stream.closeWrite();
      stream.cancel();
      return;
    }
    const circuit = new RelayedCircuit(this.#host, account, stream);
    this.#places.add(circuit, account);
    this.#circuits.add(circuit);
  }

  /** Why no circuit may come; where one may, the one that gives way to it ends. */
  #refusalOf(account: CircuitAccount): RelayedRefusal | undefined {
    if (this.#isStopped) return "stopping";
    if (this.#isResting) return "resting";
    const nowMs = this.#options.clock.nowMs();
    if (!this.#budgets.spend(account, "create", nowMs)) return "pace";
    const verdict = this.#places.makeRoom(account, nowMs);
    if (verdict.type === "evict") verdict.circuit.destroy("evicted", "drop");
    return verdict.type === "full" ? "full" : undefined;
  }

  /** Identities of clients cost nothing, so that their hosts are counted. */
  #accountOf({ nodeId, isRelay, remoteAddress }: Neighbour): CircuitAccount {
    if (isRelay) return { name: nodeId.toHex(), kind: "relay" };
    const name = this.#options.network.allowPrivateAddresses
      ? nodeId.toHex()
      : addressGroup(remoteAddress, DHT_PREFIX);
    return { name, kind: "stranger" };
  }

  /** Bytes of cells passed on, both ways, ever. */
  get carriedBytes(): number {
    const { forwardBytes, backwardBytes } = this.carried;
    return forwardBytes + backwardBytes;
  }

  /** Bytes of cells passed on, away from clients and towards them, ever. */
  get carried(): CarriedBytes {
    const { forwardCells, backwardCells } = this.#traffic;
    return {
      forwardBytes: forwardCells * CELL_BYTES,
      backwardBytes: backwardCells * CELL_BYTES,
    };
  }

  /** Circuits that there are. */
  get size(): number {
    return this.#circuits.size;
  }

  /** Bytes of cells that went out, ever. */
  get sentBytes(): number {
    return this.#rate.sentBytes;
  }

  /** From now on cells go out at this rate; `undefined` for none. */
  setRate(rate: TokenRate | undefined): void {
    this.#rate.setRate(rate);
  }

  /** Take no more circuits, until {@linkcode wake}; those that are there go on. */
  rest(): void {
    this.#isResting = true;
  }

  /** Take circuits again. */
  wake(): void {
    this.#isResting = false;
  }

  /** End all circuits. */
  endAll(): void {
    for (const circuit of this.#circuits) circuit.destroy("stopping");
  }

  /** How much of the quota of waiting cells is used, 0 to 1. */
  get quotaShare(): number {
    return this.#quota.usedBytes / this.#quota.maxBytes;
  }

  get stats(): CircuitStats {
    const states = {
      creating: 0,
      created: 0,
      extending: 0,
      extended: 0,
      joined: 0,
      closing: 0,
    };
    for (const { state } of this.#circuits) states[state]++;
    const { forwardCells, backwardCells, created, turnedAway, ends, refusals } =
      this.#traffic;
    return {
      states,
      listening: this.#points.listening,
      waiting: this.#points.waiting,
      forwardCells,
      backwardCells,
      waitingBytes: this.#quota.usedBytes,
      messageBytes: this.#quota.usedBytesOf("messages"),
      quotaBytes: this.#quota.maxBytes,
      sentBytes: this.#rate.sentBytes,
      held: this.#rate.waiting,
      created,
      turnedAway,
      refusals,
      ends,
    };
  }

  /** End all circuits, and wait until nothing of them runs. Idempotent. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true;
    this.#points.stop();
    for (const circuit of this.#circuits) circuit.destroy("stopping", "drop");
    await this.#tasks.ended();
  }

  #hostOf(
    options: CircuitServerOptions,
    handshakes: Places,
  ): CircuitHost<RelayedCircuit> {
    return {
      ...options,
      exits: this.#exits,
      nextRelays: new NextRelays(options),
      buffers: new CellBuffers(),
      quota: this.#quota,
      turns: this.#rate,
      traffic: this.#traffic,
      handshakes,
      tasks: this.#tasks,
      listener: {
        onRequest: (circuit, request) => this.#onRequest(circuit, request),
        onUnavailable: (circuit) => this.#points.withdraw(circuit),
        onGone: (circuit) => {
          this.#circuits.delete(circuit);
          this.#places.remove(circuit);
          this.#exits.remove(circuit);
          this.#points.forget(circuit);
        },
      },
    };
  }

  #onRequest(
    circuit: RelayedCircuit,
    request: DhtRequest | ServiceRequest,
  ): void {
    if (request.type === "dht_get" || request.type === "dht_put") {
      this.#tasks.run(this.#answerDht(circuit, request));
    } else this.#points.serve(circuit, request);
  }

  async #answerDht(
    circuit: RelayedCircuit,
    request: DhtRequest,
  ): Promise<void> {
    const { answerDht } = this.#options;
    const nowMs = this.#options.clock.nowMs();
    const isPaid = circuit.spendDhtRequest(nowMs) &&
      this.#budgets.spend(circuit.account, request.type, nowMs);
    if (answerDht === undefined || !isPaid || !this.#dhtRequests.take()) {
      circuit.send(refusalOf(request));
      return;
    }
    try {
      circuit.send(await answerDht(circuit, request, circuit.signal));
    } catch (error) {
      circuit.send(refusalOf(request));
      if (!(error instanceof AnonNetError)) throw error;
    } finally {
      this.#dhtRequests.give();
    }
  }
}

/** What a client hears where there is no answer. */
function refusalOf({ type, id }: DhtRequest): DhtReply {
  return type === "dht_get"
    ? { type: "dht_missing", id }
    : { type: "dht_rejected", id, code: "overloaded" };
}
