/**
 * Reaching a peer at one of its addresses: one after the other, a second apart,
 * and whichever answers first as the peer.
 *
 * @module
 */
import type { PublicKey } from "../../auth/identity.ts";
import type { NodeAddress } from "../../auth/node_address.ts";
import type { SocketAddress } from "../../auth/socket_address.ts";
import { type Clock, raceSignal, type Timer } from "../../base/clock.ts";
import {
  AnonNetError,
  ProtocolError,
  UnreachableError,
} from "../../base/errors.ts";
import { CLOSE_CODE } from "../../link/close_code.ts";
import type { Connection, Endpoint } from "../../transport/transport.ts";

/** Head start of an address before the next one is tried as well, ms. */
const STAGGER_MS = 1000;

/** Why a dial was given up: no caller sees it. */
const LOST_RACE = new UnreachableError(
  "link.lost_race",
  "Cannot dial: no longer wanted",
);

/** A peer as its record or an `anon://` address names it. */
export interface PeerAddress {
  readonly publicKey: PublicKey;
  /** Where it can be dialled, best first; at most 4 are in a record. */
  readonly addresses: readonly SocketAddress[];
}

/** An address that a node was known by, as one to dial. */
export function peerOf({ publicKey, address }: NodeAddress): PeerAddress {
  return { publicKey, addresses: [address] };
}

/**
 * Connect to a peer.
 *
 * @param signal Gives up; must come with a deadline.
 * @throws {ProtocolError} `link.wrong_identity`, `link.wrong_protocol`.
 * @throws {UnreachableError} `link.no_address`, `transport.*`.
 */
export async function dialPeer(
  endpoint: Endpoint,
  clock: Clock,
  peer: PeerAddress,
  signal: AbortSignal,
): Promise<Connection> {
  const race = new DialRace(endpoint, clock, peer);
  try {
    return await raceSignal(race.connection, signal);
  } catch (error) {
    throw explained(race.verdict ?? error);
  } finally {
    race.stop();
  }
}

/** Dials of one peer under way. */
class DialRace {
  readonly #endpoint: Endpoint;
  readonly #clock: Clock;
  readonly #peer: PeerAddress;
  readonly #done = Promise.withResolvers<Connection>();
  readonly #losers = new AbortController();
  readonly #errors: unknown[] = [];
  /** Dials begun, and of these ended. */
  #next = 0;
  #ended = 0;
  #over = false;
  #timer: Timer | undefined;

  constructor(
    endpoint: Endpoint,
    clock: Clock,
    peer: PeerAddress,
  ) {
    this.#endpoint = endpoint;
    this.#clock = clock;
    this.#peer = peer;
    this.#tryNext();
  }

  get connection(): Promise<Connection> {
    return this.#done.promise;
  }

  /** End the dials that are still under way. */
  stop(): void {
    this.#over = true;
    this.#timer?.cancel();
    if (this.#ended < this.#next) this.#losers.abort(LOST_RACE);
  }

  #tryNext(): void {
    this.#timer?.cancel();
    if (this.#over) return;
    const { addresses, publicKey } = this.#peer;
    const address = addresses[this.#next];
    if (address === undefined) {
      if (this.#errors.length === addresses.length) {
        this.#done.reject(this.#worst());
      }
      return;
    }
    this.#next++;
    const { signal } = this.#losers;
    this.#endpoint.dial(address, publicKey, { signal }).then(
      (connection) => {
        this.#ended++;
        this.#onConnection(connection);
      },
      (error) => {
        this.#ended++;
        this.#errors.push(error);
        this.#tryNext();
      },
    );
    if (this.#next < addresses.length) {
      this.#timer = this.#clock.schedule(STAGGER_MS, () => this.#tryNext());
    }
  }

  #onConnection(connection: Connection): void {
    if (this.#over) return connection.close(CLOSE_CODE.done);
    this.#over = true;
    this.#done.resolve(connection);
  }

  /** The error of a node that answered: it tells more than silence. */
  get verdict(): unknown {
    return this.#errors.find((error) => error instanceof ProtocolError);
  }

  #worst(): unknown {
    return this.verdict ?? this.#errors[0] ??
      new UnreachableError("link.no_address", "Cannot dial: no address");
  }
}

/** The transport's error in words for the operator who wrote the address down. */
function explained(error: unknown): unknown {
  if (!(error instanceof AnonNetError)) return error;
  if (error.code === "transport.wrong_identity") {
    return new ProtocolError(
      "link.wrong_identity",
      "Cannot link: the peer at that address has another identity than the address names; check its key letter by letter",
      { cause: error },
    );
  }
  if (error.code === "transport.wrong_protocol") {
    return new ProtocolError(
      "link.wrong_protocol",
      "Cannot link: the program at that address speaks another protocol, or an older version of ours",
      { cause: error },
    );
  }
  return error;
}
