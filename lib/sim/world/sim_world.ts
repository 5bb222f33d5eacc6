/**
 * A network of relays in one process, on a clock of its own. There are two of
 * them, and an experiment runs in either:
 *
 *     NodeWorld      whole nodes: links, handshakes, streams, files    a thousand nodes
 *     MachineWorld   the machines of the DHT, and a delay between them   many runs
 *
 * @module
 */
import type { PublicKey } from "../../auth/identity.ts";
import type { NetworkParameters } from "../../auth/network.ts";
import type { NodeRecord } from "../../auth/node_record.ts";
import type { Place } from "../../auth/proof_of_work.ts";
import type { Bytes } from "../../base/bytes.ts";
import { type Random, randomFloat } from "../../base/random.ts";
import type { CryptoSuite } from "../../crypto/suite.ts";
import type { DhtNode } from "../../dht/dht_node.ts";
import type { DhtKey } from "../../dht/records/distance.ts";
import type { StoredRecord } from "../../dht/records/stored_record.ts";
import type { Behaviour } from "./behaviour.ts";

/** The end of a look-up for nodes. */
export interface SimNodesFound {
  readonly closest: readonly NodeRecord[];
  readonly hops: number;
  readonly asked: number;
}

/** The end of a look-up for records. */
export interface SimValuesFound {
  readonly records: readonly StoredRecord[];
  readonly hops: number;
  readonly asked: number;
}

/** One relay. */
export interface SimNode {
  /** Counts the relays of a world, from 0. */
  readonly index: number;
  readonly behaviour: Behaviour;
  /** What it says of itself now. */
  readonly record: NodeRecord;
  /** What it knows and keeps. */
  readonly dht: Pick<DhtNode, "table" | "relays" | "store">;
  /** Whether it runs. */
  readonly isUp: boolean;
  /** Since when its neighbourhood knows it, virtual ms. */
  readonly joinedMs: number | undefined;
  /**
   * Look for nodes. `done` is called once, with nothing when the look-up did not
   * begin or the node went away.
   */
  findNode(
    target: Place | DhtKey,
    done: (found: SimNodesFound | undefined) => void,
  ): void;
  /** Look for the records of a publisher under a key; as {@linkcode findNode}. */
  get(
    key: DhtKey,
    publisher: PublicKey,
    done: (found: SimValuesFound | undefined) => void,
  ): void;
  /** Store a record. `done` hears how many copies were made; as {@linkcode findNode}. */
  put(record: StoredRecord, done: (copies: number | undefined) => void): void;
  /** Send another relay a request as it is, and do not care for the answer. */
  ask(to: SimNode, request: Bytes): void;
}

/** How a node goes away: it says goodbye, or it does not. */
export type Departure = "stop" | "crash";

/** What a new node is given. */
export interface Arrival {
  /** Default: honest. */
  readonly behaviour?: Behaviour;
  /** The node it is told to join by; none for the first one. */
  readonly via?: SimNode | undefined;
}

/** Relays, and the time in which they live. */
export interface SimWorld {
  readonly crypto: CryptoSuite;
  readonly network: NetworkParameters;
  /** Virtual time since the start, ms. */
  readonly nowMs: number;
  /** Virtual wall-clock time, unix ms. */
  readonly unixMs: number;
  /** All relays that ever were, by index. */
  readonly nodes: readonly SimNode[];
  /** Requests sent by all relays so far. */
  readonly requests: number;
  /** Links dialled by all relays so far. */
  readonly dials: number;
  /** Links that are up. */
  readonly links: number;
  /** Have a new relay join. */
  add(arrival?: Arrival): SimNode;
  /** Have a relay leave for good. */
  remove(node: SimNode, departure: Departure): void;
  /** Let no message pass between these relays and all others; who comes later is not meant. */
  cut(nodes: readonly SimNode[]): Disposable;
  /** Call `wake` in a while. */
  schedule(delayMs: number, wake: () => void): void;
  /** Let time pass, with all that happens in it. */
  advance(ms: number): Promise<void>;
}

/** The seed of a part of a world: parts that draw more or less do not disturb each other. */
export function seedFrom(random: Random): number {
  return randomFloat(random) * 2 ** 48;
}
