/**
 * Whom a node that is no relay asks for the relay list.
 *
 *     named nodes that have moved   until a guard is reached; in turn with guards
 *     guards                        where there are any, and a list
 *     guards, and those below       where that list is too short to build circuits over
 *     guards of the last run        for two rounds: they know us already
 *     named nodes, those of the last run, its guards
 *
 * @see protocol §4.7 "The relay list" and §9.2 "Start and stop"
 * @module
 */
import type { PublicKey } from "../../auth/identity.ts";
import type { NodeRecord } from "../../auth/node_record.ts";
import type { SocketAddress } from "../../auth/socket_address.ts";
import { equalBytes } from "../../base/bytes.ts";

/** Protocol: rounds in which former guards alone are asked. */
const GUARD_ROUNDS = 2;
/** Tuning: least rounds in which named nodes that have moved are asked before all others. */
const MOVED_ROUNDS = 3;

/** A node that can be dialled. */
export interface ListPeer {
  readonly publicKey: PublicKey;
  /** Where, best first. */
  readonly addresses: readonly SocketAddress[];
}

/** What there is of guards. */
export interface ListGuards {
  readonly peers: readonly ListPeer[];
  /** Whether there is a link with one of them. */
  readonly isLinked: boolean;
}

/** Nodes that are known from the start. */
export interface KnownPeers {
  /** Nodes that the operator named. */
  readonly bootstrap: readonly ListPeer[];
  /** Nodes to join by that were known in the last run. */
  readonly contacts: readonly ListPeer[];
  /**
   * Guards of the last run: asked before any other relay where its list has ended
   * meanwhile, for they know us already.
   */
  readonly formerGuards: readonly ListPeer[];
}

/** Chooses among the nodes that may be asked. */
export class ListSources {
  readonly #known: KnownPeers;
  #guards: ListGuards = { peers: [], isLinked: false };
  /** Named nodes that were elsewhere in the last run. */
  #moved: readonly ListPeer[] = [];
  /** Rounds that brought a list. */
  #rounds = 0;
  /** Rounds in a row that brought nothing. */
  #failures = 0;

  constructor(known: KnownPeers) {
    this.#known = known;
  }

  /** Whether there are guards, listed or not. */
  get hasGuards(): boolean {
    return this.#guards.peers.length > 0;
  }

  /**
   * Whether the network has moved, and no guard is reached yet. The lists of named
   * nodes are old at first, too: they are asked until they have heard of the others,
   * our guards among them.
   */
  get isMoving(): boolean {
    return this.#moved.length > 0 &&
      (this.#rounds < MOVED_ROUNDS || !this.#guards.isLinked);
  }

  /** Guards have come, gone, or been linked with. */
  onGuards(guards: ListGuards): void {
    this.#guards = guards;
  }

  /**
   * The list of the last run is there. Named nodes that it has elsewhere have moved
   * since, our guards perhaps with them.
   */
  onRecalled(relays: readonly NodeRecord[]): void {
    this.#moved = this.#known.bootstrap.filter((named) => {
      const known = relays.find(({ publicKey }) =>
        equalBytes(publicKey, named.publicKey)
      );
      return known !== undefined && !shareAddress(named, known);
    });
  }

  /** A round has brought a list. */
  onList(): void {
    this.#failures = 0;
    this.#rounds++;
  }

  /** A round has brought nothing. */
  onFailure(): void {
    this.#failures++;
  }

  /** All that may be asked now. */
  choose(list: "empty" | "scarce" | "ample"): readonly ListPeer[] {
    const { bootstrap, contacts, formerGuards } = this.#known;
    const guards = this.#guards.peers;
    // In turn with guards: those may be dialled where they were, or be there still.
    if (this.#failures % 2 === 0 && this.isMoving) return this.#moved;
    if (guards.length > 0 && list === "ample") return guards;
    // One guard that is left is one witness, and lists nothing: others are asked too.
    if (guards.length > 0 && list === "scarce") {
      return distinct([...guards, ...bootstrap, ...contacts, ...formerGuards]);
    }
    if (formerGuards.length > 0 && this.#failures < GUARD_ROUNDS) {
      return formerGuards;
    }
    return [...bootstrap, ...contacts, ...formerGuards];
  }
}

/** Each node once, as it stands first. */
function distinct(peers: readonly ListPeer[]): ListPeer[] {
  return peers.filter(({ publicKey }, at) =>
    at === peers.findIndex((peer) => equalBytes(peer.publicKey, publicKey))
  );
}

function shareAddress(one: ListPeer, other: ListPeer): boolean {
  return one.addresses.some((named) =>
    other.addresses.some(({ host, port }) =>
      host === named.host && port === named.port
    )
  );
}
