/**
 * Places in which a relay is besieged: hosts of 127.0.0.0/8, each /24 of them the
 * prefix of another party. In memory on a virtual clock, or over loopback.
 *
 * @module
 */
import { Identity } from "../../lib/auth/identity.ts";
import type { NetworkParameters } from "../../lib/auth/network.ts";
import type { Random } from "../../lib/base/random.ts";
import { seededRandom } from "../../lib/base/random.ts";
import { systemRandom } from "../../lib/machine/system_random.ts";
import type { TransportLimits } from "../../lib/transport/endpoint_options.ts";
import { MemoryNetwork } from "../../lib/transport/memory_network.ts";
import { openQuicEndpoint } from "../../lib/transport/quic_endpoint.ts";
import type { Endpoint } from "../../lib/transport/transport.ts";
import {
  CRYPTO,
  MemoryWorld,
  NETWORK,
  QuicWorld,
} from "../node/link/link_world.ts";
import { runOn } from "../transport/world.ts";

/**
 * The network as a relay on the Internet counts its peers: by host prefix, where the
 * network of one machine takes them all for one host.
 */
export const COUNTING_HOSTS: NetworkParameters = {
  ...NETWORK,
  allowPrivateAddresses: false,
};

/** What a line of the besieged relay carries each way: a small server's, bytes per second. */
const LINE_BYTES_PER_SECOND = 12_500_000;

/** A world whose nodes have hosts of their own. */
export interface SiegeWorld {
  /** An endpoint of a client on a host; closed with the world. */
  endpointAt(host: string): Promise<Endpoint>;
}

/** Gives out hosts: each node of a world is another party. */
class Hosts {
  /** Where the next endpoint is opened. */
  chosen: string | undefined;
  #number: number;

  constructor(first: number) {
    this.#number = first;
  }

  next(): string {
    if (this.chosen !== undefined) return this.chosen;
    const number = this.#number++;
    // Past the first 256, attackers have 127.1.0.0/16.
    return `127.${2 * (number >> 8)}.${number & 255}.1`;
  }
}

/** In memory, where lines take time and processors none. */
export class MemorySiege extends MemoryWorld implements SiegeWorld {
  override readonly network = new MemoryNetwork({
    clock: this.clock,
    random: seededRandom(1),
    link: () => ({ latencyMs: 10, bytesPerSecond: LINE_BYTES_PER_SECOND }),
  });
  readonly #hosts = new Hosts(1);

  endpointAt(host: string): Promise<Endpoint> {
    this.#hosts.chosen = host;
    const endpoint = this.endpoint(this.identity());
    this.#hosts.chosen = undefined;
    return endpoint;
  }

  protected override open(
    identity: Identity,
    alpn: string,
    limits: Partial<TransportLimits>,
  ): Promise<Endpoint> {
    return Promise.resolve(
      this.network.endpoint({
        address: { host: this.#hosts.next(), port: 0 },
        alpn,
        identity,
        crypto: CRYPTO,
        limits,
        uplinkBytesPerSecond: LINE_BYTES_PER_SECOND,
      }),
    );
  }
}

/** Over loopback, in one of several processes. */
export class QuicSiege extends QuicWorld implements SiegeWorld {
  override readonly random: Random = systemRandom;
  readonly #hosts: Hosts;

  /** @param firstHost Of the nodes of this process; others have others. */
  constructor(firstHost: number) {
    super();
    this.#hosts = new Hosts(firstHost);
  }

  override identity(): Identity {
    return Identity.generate(CRYPTO, systemRandom);
  }

  endpointAt(host: string): Promise<Endpoint> {
    this.#hosts.chosen = host;
    const endpoint = this.endpoint(this.identity());
    this.#hosts.chosen = undefined;
    return endpoint;
  }

  protected override open(
    identity: Identity,
    alpn: string,
    limits: Partial<TransportLimits>,
  ): Promise<Endpoint> {
    return openQuicEndpoint({
      address: { host: this.#hosts.next(), port: 0 },
      alpn,
      identity,
      crypto: CRYPTO,
      limits,
    });
  }
}

/** Run a siege in memory. */
export async function inMemorySiege(
  test: (world: MemorySiege) => Promise<void>,
): Promise<void> {
  const world = new MemorySiege();
  const run = async () => {
    try {
      await test(world);
    } finally {
      await world.close();
    }
  };
  await runOn(world.clock, run());
}
