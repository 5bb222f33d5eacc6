/**
 * A node of a {@linkcode MachineWorld}: a machine, and what the world knows of it.
 *
 * @module
 */
import type { PublicKey } from "../../auth/identity.ts";
import type { NodeRecord } from "../../auth/node_record.ts";
import type { Place as DhtPlace } from "../../auth/proof_of_work.ts";
import type { Bytes } from "../../base/bytes.ts";
import type { DhtAction } from "../../dht/dht_action.ts";
import type { DhtNode, DhtTask } from "../../dht/dht_node.ts";
import type { DhtKey } from "../../dht/records/distance.ts";
import type { StoredRecord } from "../../dht/records/stored_record.ts";
import type { Behaviour } from "./behaviour.ts";
import type { Place } from "./geography.ts";
import type { SimNode, SimNodesFound, SimValuesFound } from "./sim_world.ts";

/** A caller waits for the end of a task. */
export type TaskEnd = (action: DhtAction | undefined) => void;

/** What a node has its world do. */
export interface NodeHost {
  begin(
    node: MachineNode,
    work: (nowMs: number, unixMs: number) => DhtTask,
    end: TaskEnd,
  ): void;
  ask(node: MachineNode, to: SimNode, request: Bytes): void;
}

/** A machine, and what the world knows of it. */
export class MachineNode implements SimNode {
  readonly index: number;
  readonly behaviour: Behaviour;
  readonly record: NodeRecord;
  readonly dht: DhtNode;
  readonly place: Place;
  /** The bootstrap node that it was told of. */
  readonly via: MachineNode | undefined;
  /** When links with others were last used, by their indexes. */
  readonly links = new Map<number, number>();
  readonly tasks = new Map<number, TaskEnd>();
  /** Number of the cut that it is on the far side of, if any. */
  side = 0;
  isUp = true;
  joinedMs: number | undefined;
  timerMs = Infinity;
  readonly #host: NodeHost;

  constructor(
    parts: Pick<
      MachineNode,
      "index" | "behaviour" | "record" | "dht" | "place" | "via"
    >,
    host: NodeHost,
  ) {
    this.index = parts.index;
    this.behaviour = parts.behaviour;
    this.record = parts.record;
    this.dht = parts.dht;
    this.place = parts.place;
    this.via = parts.via;
    this.#host = host;
  }

  findNode(
    target: DhtPlace | DhtKey,
    done: (found: SimNodesFound | undefined) => void,
  ): void {
    this.#host.begin(
      this,
      (nowMs, unixMs) => this.dht.findNode(target, nowMs, unixMs),
      (end) => done(end?.type === "nodes" ? end : undefined),
    );
  }

  get(
    key: DhtKey,
    publisher: PublicKey,
    done: (found: SimValuesFound | undefined) => void,
  ): void {
    this.#host.begin(
      this,
      (nowMs, unixMs) => this.dht.findValue(key, publisher, nowMs, unixMs),
      (end) => done(end?.type === "values" ? end : undefined),
    );
  }

  put(record: StoredRecord, done: (copies: number | undefined) => void): void {
    this.#host.begin(
      this,
      (nowMs, unixMs) => this.dht.put(record, nowMs, unixMs),
      (end) => done(end?.type === "stored" ? end.copies : undefined),
    );
  }

  ask(to: SimNode, request: Bytes): void {
    this.#host.ask(this, to, request);
  }
}
