/**
 * Relays of a private network find each other on the LAN, and clients find them,
 * where the operator asks for it. The driver of {@linkcode LanNeighbours}.
 *
 *     start ─▶ gather: listen for a while ─▶ nodes to join by, beside all others
 *     relay ─▶ announce: every 2 s at first, then every 10 s; meet whom it hears
 *     client ─▶ says nothing, and listens no more once it has started
 *
 * @see protocol §9.8 "Discovery on a LAN"
 * @module
 */
import { type Identity, shortKey } from "../../auth/identity.ts";
import {
  encodeLanAnnouncement,
  lanTag,
} from "../../dht/join/lan_announcement.ts";
import type { NetworkParameters } from "../../auth/network.ts";
import type { NodeAddress } from "../../auth/node_address.ts";
import { sleep, type Timer } from "../../base/clock.ts";
import { AnonNetError, ConfigError } from "../../base/errors.ts";
import { randomBetween } from "../../base/random.ts";
import { TaskSet } from "../../base/task_set.ts";
import { LanNeighbours, type LanPlace } from "../../dht/join/lan_neighbours.ts";
import { type Log, thrown } from "../../log/log.ts";
import type { LanMachine, Runtime } from "../../machine/runtime.ts";

/** Protocol: time between two announcements, at first and later, ms. */
const FIRST_PACE_MS = 2_000;
const PACE_MS = 10_000;
/** Announcements at the first pace. */
const FIRST_COUNT = 5;
/** Waits are longer or shorter by up to this share: processes of one machine must not go in step. */
const JITTER = 0.25;
/** Tuning: how long a node listens that has others to join by, and one that has none, ms. */
const SHORT_GATHER_MS = 3_000;
const LONG_GATHER_MS = 13_000;
/** Tuning: once one was heard, the others have so long, ms. */
const MORE_MS = 1_000;

type LanSocket = Awaited<ReturnType<LanMachine["open"]>>;

/** How a node listens before it starts. */
interface GatherOptions {
  /** Whether it has other nodes to join by. */
  readonly hasOthers: boolean;
  /** Ends it; it rejects with the signal's reason. */
  readonly signal: AbortSignal;
}

/** What a relay says, and does with those that it hears. */
interface AnnounceOptions {
  readonly identity: Identity;
  readonly port: number;
  /** Dial a relay, and take it for a contact. */
  readonly meet: (address: NodeAddress) => Promise<void>;
}

/** Discovery, until disposed of. */
export class LanDiscovery implements AsyncDisposable {
  readonly #runtime: Runtime;
  readonly #network: NetworkParameters;
  readonly #log: Log;
  readonly #socket: LanSocket;
  readonly #neighbours: LanNeighbours;
  readonly #tasks: TaskSet;
  #onHeard: (address: NodeAddress) => void = () => {};
  #timer: Timer | undefined;
  #isClosed = false;

  private constructor(
    runtime: Runtime,
    network: NetworkParameters,
    places: readonly LanPlace[],
    socket: LanSocket,
  ) {
    const { clock, crypto, log } = runtime;
    this.#runtime = runtime;
    this.#network = network;
    this.#log = log.part("lan");
    this.#socket = socket;
    this.#neighbours = new LanNeighbours(
      { crypto, network, places },
      clock.nowMs(),
    );
    this.#tasks = new TaskSet((error) =>
      this.#log.error("A bug: discovery on the LAN failed", {
        error: thrown(error),
      })
    );
    this.#tasks.run(this.#listen());
  }

  /**
   * Begin to listen.
   *
   * @throws {ConfigError} `node.lan`: not in a network whose nodes may have private
   * addresses; `transport.lan`.
   */
  static async open(
    network: NetworkParameters,
    runtime: Runtime,
  ): Promise<LanDiscovery> {
    checkLanNetwork(network);
    const { lan } = runtime;
    const places = lan?.places() ?? [];
    if (lan === undefined || places.length === 0) {
      throw new ConfigError(
        "node.lan",
        "Cannot look for relays on the LAN: this machine has no IPv4 address that " +
          "leads out of it, or it may not be asked; leave out --lan",
      );
    }
    const socket = await lan.open(places.map(({ host }) => host));
    return new LanDiscovery(runtime, network, places, socket);
  }

  /** Listen for relays to join by. */
  async gather(
    { hasOthers, signal }: GatherOptions,
  ): Promise<readonly NodeAddress[]> {
    const { clock } = this.#runtime;
    const heard: NodeAddress[] = [];
    const first = Promise.withResolvers<void>();
    this.#onHeard = (address) => {
      heard.push(address);
      first.resolve();
    };
    this.#log.info("Listening for relays on the LAN");
    const over = new AbortController();
    const late = sleep(clock, hasOthers ? SHORT_GATHER_MS : LONG_GATHER_MS, {
      signal: AbortSignal.any([signal, over.signal]),
    });
    late.catch(() => {});
    await Promise.race([first.promise, late]);
    over.abort();
    if (heard.length > 0) await sleep(clock, MORE_MS, { signal });
    this.#onHeard = () => {};
    return heard;
  }

  /** Tell others of a relay, and make it acquainted with those that it hears. */
  announce({ identity, port, meet }: AnnounceOptions): void {
    const { crypto } = this.#runtime;
    this.#neighbours.selfKey = identity.publicKey;
    this.#onHeard = (address) => this.#tasks.run(this.#meet(address, meet));
    const tag = lanTag(crypto, this.#network);
    this.#say(encodeLanAnnouncement(tag, identity, port), 0);
  }

  /** Neither speak nor listen any more. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#socket.close();
    await this.#tasks.ended();
  }

  async #listen(): Promise<void> {
    const { clock } = this.#runtime;
    for (;;) {
      const packet = await this.#socket.receive();
      if (packet === undefined || this.#isClosed) return;
      const { message, from } = packet;
      const found = this.#neighbours.onPacket(message, from, clock.nowMs());
      if (found === undefined) continue;
      this.#log.info("Found a relay on the LAN", {
        peer: shortKey(found.publicKey),
      });
      this.#onHeard(found);
    }
  }

  #say(message: Uint8Array, count: number): void {
    if (this.#isClosed) return;
    const { clock, random } = this.#runtime;
    this.#tasks.run(this.#socket.send(message));
    const paceMs = count < FIRST_COUNT ? FIRST_PACE_MS : PACE_MS;
    const waitMs = paceMs * randomBetween(random, 1 - JITTER, 1 + JITTER);
    this.#timer = clock.schedule(waitMs, () => this.#say(message, count + 1), {
      keepAlive: false,
    });
  }

  async #meet(
    address: NodeAddress,
    meet: (address: NodeAddress) => Promise<void>,
  ): Promise<void> {
    try {
      await meet(address);
    } catch (error) {
      if (!(error instanceof AnonNetError)) throw error;
      // Heard again, it is tried again.
      this.#log.info("A relay on the LAN does not answer as it should", {
        peer: shortKey(address.publicKey),
        error,
      });
    }
  }
}

/**
 * Refuse networks whose nodes are on the Internet: who is on the LAN would learn that
 * this machine is one of them, and nothing would be gained.
 *
 * @throws {ConfigError} `node.lan`.
 */
function checkLanNetwork(
  { name, allowPrivateAddresses }: NetworkParameters,
): void {
  if (allowPrivateAddresses) return;
  throw new ConfigError(
    "node.lan",
    `Cannot use --lan in network ${name}: it would tell all of the LAN that ` +
      `this machine takes part; it is for local, and networks with private addresses`,
  );
}
