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
import type { NetworkParameters } from "../../auth/network.ts";
import type { Clock } from "../../base/clock.ts";
import { AnonNetError } from "../../base/errors.ts";
import type { Random } from "../../base/random.ts";
import { CellQuota, QUOTA_BYTES } from "../../circuit/cell_quota.ts";
import type {
  DhtReply,
  DhtRequest,
  ServiceRequest,
} from "../../circuit/control_messages.ts";
import type { CryptoSuite } from "../../crypto/suite.ts";
import type { ByteStream } from "../../transport/transport.ts";
import { CellBuffers } from "../circuit/cell_buffers.ts";
import type {
  OnionSecrets,
  RelayedCircuitHost,
  RelayedEnd,
} from "./circuit_host.ts";
import type { CircuitLinks } from "../circuit/circuit_links.ts";
import { MeetingPoints } from "./meeting_points.ts";
import { RelayedCircuit } from "./relayed_circuit.ts";
import { Slots } from "../../base/slots.ts";

/** What all circuits of a relay may take. Tuning. */
export interface CircuitLimits {
  /** Circuits in all, those included that are being closed. */
  readonly circuits: number;
  /** Circuits of one neighbour. One that floods us leaves room for the others. */
  readonly circuitsPerPeer: number;
  /** Create handshakes under way. Each takes a quarter of a millisecond. */
  readonly handshakes: number;
  /** DHT requests of circuits under way. Each is work for many others. */
  readonly dhtRequests: number;
  /** Bytes of cells that may wait. */
  readonly quotaBytes: number;
}

/** Enough for a relay of a network of some thousand relays. */
export const DEFAULT_CIRCUIT_LIMITS: CircuitLimits = {
  circuits: 16_384,
  circuitsPerPeer: 2048,
  handshakes: 128,
  dhtRequests: 256,
  quotaBytes: QUOTA_BYTES,
};

/**
 * Answers what a circuit's client asks of the DHT.
 *
 * @param circuit Names the asker; for limits, not to be kept.
 * @param signal Aborts when nobody waits for the answer any more.
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
  /** Without it, nothing is found and nothing stored. */
  readonly answerDht?: DhtAnswerer;
  /** What differs from {@linkcode DEFAULT_CIRCUIT_LIMITS}. */
  readonly limits?: Partial<CircuitLimits>;
  /**
   * Takes data that ends here, at no join. For measuring: nothing in the protocol
   * sends any, and without this it destroys the circuit.
   */
  readonly onData?: (circuit: RelayedCircuit, body: Uint8Array) => void;
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
  /** Bytes of cells that wait, and how many may. */
  readonly waitingBytes: number;
  readonly quotaBytes: number;
  /** Circuits created, and turned away for want of room, ever. */
  readonly created: number;
  readonly turnedAway: number;
  /** How circuits ended, ever. */
  readonly ends: Readonly<Partial<Record<RelayedEnd, number>>>;
}

/** The circuits of one relay. */
export class CircuitServer implements AsyncDisposable {
  readonly #options: CircuitServerOptions;
  readonly #host: RelayedCircuitHost;
  readonly #quota: CellQuota<RelayedCircuit>;
  readonly #points: MeetingPoints;
  readonly #circuits = new Set<RelayedCircuit>();
  readonly #places: Slots;
  readonly #handshakes: Slots;
  readonly #dhtRequests: Slots;
  readonly #traffic = { forwardCells: 0, backwardCells: 0 };
  readonly #ends: Partial<Record<RelayedEnd, number>> = {};
  /** What runs on its own, awaited on dispose. */
  readonly #tasks = new Set<Promise<void>>();
  #created = 0;
  #turnedAway = 0;
  #isStopped = false;

  constructor(options: CircuitServerOptions) {
    const limits = { ...DEFAULT_CIRCUIT_LIMITS, ...options.limits };
    const { crypto, clock, random } = options;
    this.#options = options;
    this.#quota = new CellQuota(limits.quotaBytes);
    this.#points = new MeetingPoints(crypto, clock, random);
    this.#places = new Slots(limits.circuits, limits.circuitsPerPeer);
    this.#handshakes = new Slots(limits.handshakes);
    this.#dhtRequests = new Slots(limits.dhtRequests);
    this.#host = this.#hostOf(options);
  }

  /** Take a circuit that a neighbour creates. */
  accept(previousId: NodeId, stream: ByteStream): void {
    if (this.#isStopped || !this.#places.take(previousId.toHex())) {
      this.#turnedAway++;
      stream.closeWrite();
      stream.cancel();
      return;
    }
    this.#circuits.add(new RelayedCircuit(this.#host, previousId, stream));
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
    return {
      states,
      listening: this.#points.listening,
      waiting: this.#points.waiting,
      ...this.#traffic,
      waitingBytes: this.#quota.usedBytes,
      quotaBytes: this.#quota.maxBytes,
      created: this.#created,
      turnedAway: this.#turnedAway,
      ends: { ...this.#ends },
    };
  }

  /** End all circuits, and wait until nothing of them runs. Idempotent. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true;
    this.#points.stop();
    for (const circuit of this.#circuits) circuit.destroy("stopping", "drop");
    while (this.#tasks.size > 0) await Promise.all(this.#tasks);
  }

  #hostOf(options: CircuitServerOptions): RelayedCircuitHost {
    const { onData } = options;
    return {
      ...options,
      buffers: new CellBuffers(),
      quota: this.#quota,
      dataHere: onData === undefined ? "refuse" : "deliver",
      traffic: this.#traffic,
      takeHandshake: () => this.#handshakes.take(),
      giveHandshake: () => this.#handshakes.give(),
      run: (work) => this.#run(work),
      onCreated: () => void this.#created++,
      onUnavailable: (circuit) => this.#points.forget(circuit),
      onRequest: (circuit, request) => this.#onRequest(circuit, request),
      onData: (circuit, body) => onData?.(circuit, body),
      checkQuota: () => this.#checkQuota(),
      onDestroyed: (_circuit, end) => {
        this.#ends[end] = (this.#ends[end] ?? 0) + 1;
      },
      onGone: (circuit) => {
        this.#circuits.delete(circuit);
        this.#places.give(circuit.previousId.toHex());
      },
    };
  }

  #onRequest(
    circuit: RelayedCircuit,
    request: DhtRequest | ServiceRequest,
  ): void {
    if (request.type === "dht_get" || request.type === "dht_put") {
      this.#run(this.#answerDht(circuit, request));
    } else this.#points.serve(circuit, request);
  }

  async #answerDht(
    circuit: RelayedCircuit,
    request: DhtRequest,
  ): Promise<void> {
    const { answerDht } = this.#options;
    if (answerDht === undefined || !this.#dhtRequests.take()) {
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

  #checkQuota(): void {
    if (!this.#quota.over) return;
    for (const circuit of this.#quota.victims()) {
      circuit.destroy("quota", "drop");
    }
  }

  /** Own a promise: it is awaited, and its failure is not unhandled. */
  #run(work: Promise<void>): void {
    const task = work.catch((error) => this.#options.onError(error))
      .finally(() => this.#tasks.delete(task));
    this.#tasks.add(task);
  }
}

/** What a client hears where there is no answer. */
function refusalOf({ type, id }: DhtRequest): DhtReply {
  return type === "dht_get"
    ? { type: "dht_missing", id }
    : { type: "dht_rejected", id, code: "overloaded" };
}
