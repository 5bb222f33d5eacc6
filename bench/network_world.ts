/**
 * Networks for benchmarks: separate processes, near or far apart.
 *
 *     near   relays on loopback
 *     far    every link leads through the delay forwarder
 *
 * `PROFILE=relay,serve,proxy` writes V8 profiles of processes of these commands to
 * `PROFILE_DIR`.
 *
 * @module
 */
import { FarLinks } from "../tests/support/far_links.ts";
import {
  type NodeProcess,
  ProcessNetwork,
} from "../tests/support/process_network.ts";
import { UdpPorts } from "../tests/support/udp_ports.ts";
import { startTarget, type Visit } from "./network_load.ts";
import { cpuSeconds, total } from "./process_facts.ts";

/** What a world is made of. */
export interface WorldOptions {
  readonly relays: number;
  /** Delay of each link, ms one way. Default: no forwarder at all. */
  readonly delayMs?: number;
}

/** Relays, a service and a proxy. */
export class NetworkWorld implements AsyncDisposable {
  readonly network: ProcessNetwork;
  readonly service: NodeProcess;
  readonly proxy: NodeProcess;
  readonly #stack: AsyncDisposableStack;

  private constructor(
    network: ProcessNetwork,
    service: NodeProcess,
    proxy: NodeProcess,
    stack: AsyncDisposableStack,
  ) {
    this.network = network;
    this.service = service;
    this.proxy = proxy;
    this.#stack = stack;
  }

  static async create(options: WorldOptions): Promise<NetworkWorld> {
    await using starting = new AsyncDisposableStack();
    const { relays, delayMs } = options;
    const { ports } = starting.use(new UdpPorts(relays));
    const fronts = delayMs === undefined
      ? ports
      : starting.use(await FarLinks.start({ delayMs, ports })).fronts;
    const network = starting.use(
      await ProcessNetwork.start({
        relays,
        relayFlags: (index) => [
          `--listen=127.0.0.1:${ports[index]}`,
          `--advertise=127.0.0.1:${fronts[index]}`,
        ],
        program: (command) => ({ permissions: ["-P", ...profiling(command)] }),
      }),
    );
    const target = startTarget();
    starting.defer(() => target.close());
    const [service, proxy] = await Promise.all([
      network.serve([`80=127.0.0.1:${target.addr.port}`]),
      network.proxy("proxy"),
    ]);
    return new NetworkWorld(network, service, proxy, starting.move());
  }

  /** How to reach the target. */
  get visit(): Visit {
    return { socks: this.proxy.socks, host: this.service.host };
  }

  /** All processes of ours. */
  get nodes(): NodeProcess[] {
    return [...this.network.relays, this.service, this.proxy];
  }

  /** Processor time of the whole network so far, s. */
  async cpuSeconds(): Promise<number> {
    return total(await cpuSeconds(this.nodes.map(({ pid }) => pid)));
  }

  /** Ask all processes to stop, so that they write their profiles, and end. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (Deno.env.has("PROFILE")) {
      await Promise.all(this.nodes.map((node) => node.end()));
    }
    await this.#stack.disposeAsync();
  }
}

function profiling(command: string): string[] {
  const wanted = Deno.env.get("PROFILE")?.split(",") ?? [];
  if (!wanted.includes(command)) return [];
  const folder = Deno.env.get("PROFILE_DIR") ?? "profiles";
  return ["--cpu-prof", `--cpu-prof-dir=${folder}`];
}
