/**
 * What services and their clients need of circuits. The pool's driver implements
 * it; tests join two in memory.
 *
 *     take("introduction")             4 hops, the last one listens for a service
 *     take("introduction", { endAt })  3 hops, and the one that the other side named
 *     take("rendezvous")               3 hops, the last one waits with a cookie
 *     take("rendezvous", { endAt })    3 hops, and the one that the other side named
 *     take("directory")                4 hops, the last one looks records up
 *
 * @see protocol §5 "Circuits", §7 "Services"
 * @module
 */
import type { LegCarrier } from "./leg_carrier.ts";
import type { NodeRecord } from "../../auth/node_record.ts";
import type { Bytes } from "../../base/bytes.ts";
import type { UnreachableError } from "../../base/errors.ts";
import type { PathAvoid } from "../../path/path_avoid.ts";
import type { Pressure } from "../../base/pressure.ts";
import type { CircuitPurpose } from "../../pool/purpose.ts";

/** Which circuit is wanted. */
export interface CircuitWish {
  readonly purpose: CircuitPurpose;
  /** A relay that the other side chose: it is added behind a path of ours. */
  readonly endAt?: NodeRecord;
  /** Relays that shall not be on it, if there are others. */
  readonly avoid?: PathAvoid | undefined;
  /** Ends the wait. */
  readonly signal: AbortSignal;
}

/** How long something may take. */
export interface WaitLimit {
  readonly signal: AbortSignal;
}

/** Questions that the last hop answers with a message of the services (protocol §5.4 "The control stream"). */
export type ServiceQuestion =
  | "establish_intro"
  | "introduce1"
  | "establish_rendezvous";

/** Where circuits come from. */
export interface Circuits {
  /**
   * A new circuit for the caller alone: two isolation keys cannot meet on it. The
   * caller closes it.
   *
   * @throws {UnreachableError} `circuit.*`, `path.*` when none can be built.
   * @throws the signal's reason.
   */
  take(wish: CircuitWish): Promise<ServiceCircuit>;
  /** So many services of this node share the circuits. */
  onServices(count: number): void;
  /** Wishes that wait for a circuit now. */
  readonly waiting: number;
  /** Whether more is wished for than can be built: then nothing is asked for twice. */
  readonly pressure: Pressure;
  /** What builds took of late, ms; 0 before the first. */
  readonly buildMs: number;
  /** Circuits that may be built at once now. */
  readonly mostBuilds: number;
  /**
   * Why a caller who has waited since `sinceMs` waits in vain, where that is known:
   * `path.guards_down`, `path.guards_missing` or `path.too_few_relays`.
   */
  outageSince(sinceMs: number): UnreachableError | undefined;
  /** The same for a caller whose circuits have failed: what is known by now. */
  readonly outageNow: UnreachableError | undefined;
}

/** Tuning: what is waited for is as slow as so many builds, at most, and this long, ms. */
const PATIENCE = { builds: 3, mostMs: 15_000 } as const;

/**
 * How long to wait for an answer that is there within `ms` where nothing is slow: a
 * network that has too much to do must not be taken for a silent one.
 */
export function patienceMs(
  { buildMs }: Pick<Circuits, "buildMs">,
  ms: number,
): number {
  const { builds, mostMs } = PATIENCE;
  return Math.max(ms, Math.min(mostMs, builds * buildMs));
}

/**
 * A circuit in the hands of its client. Everything that waits rejects with an
 * `UnreachableError` `circuit.*` when the circuit is gone.
 *
 * As a leg: cells that come before `attach` wait for it.
 */
export interface ServiceCircuit extends LegCarrier {
  /** The relays it leads over, nearest first. */
  readonly path: readonly NodeRecord[];
  /** Known to the last hop and us alone (protocol §5.2 "Create"). */
  readonly binding: Bytes;
  /** Look a record up at the last hop. @returns A stored record, not yet checked. */
  dhtGet(key: Bytes, limit: WaitLimit): Promise<Bytes | undefined>;
  /**
   * Store a record by the last hop.
   *
   * @returns How many nodes took it; 0 when it was refused or no node was found.
   */
  dhtPut(record: Bytes, limit: WaitLimit): Promise<number>;
  /** Say something to the last hop. @returns The body of its answer. */
  ask(type: ServiceQuestion, body: Bytes, limit: WaitLimit): Promise<Bytes>;
  /** Hear of every `introduce2` from now on. */
  onIntroduction(listener: (body: Bytes) => void): void;
  /** Send `rendezvous1`. The circuit is joined from then on. */
  meet(body: Bytes): void;
  /** The body of `rendezvous2`. The circuit is joined from then on. */
  met(limit: WaitLimit): Promise<Bytes>;
  /** Ask the last hop for a sign of life. @returns The round trip, ms. */
  ping(limit: WaitLimit): Promise<number>;
}
