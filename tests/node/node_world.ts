/**
 * Whole nodes in one process: memory for network and disks, a virtual clock.
 *
 * @module
 */
import assert from "node:assert/strict";
import { networkParameters } from "../../lib/auth/network.ts";
import type { NodeAddress } from "../../lib/auth/node_address.ts";
import type { SocketAddress } from "../../lib/auth/socket_address.ts";
import { seededRandom } from "../../lib/base/random.ts";
import type { Clock } from "../../lib/base/clock.ts";
import { VirtualClock } from "../../lib/base/virtual_clock.ts";
import { repeatableSuite } from "../../lib/crypto/repeatable.ts";
import type { ClientOptions } from "../../lib/node/client_role.ts";
import { Node, type NodeOptions } from "../../lib/node/node.ts";
import type { RelayOptions, RelayRole } from "../../lib/node/relay_role.ts";
import type { Runtime } from "../../lib/machine/runtime.ts";
import { createDrain } from "../../lib/sim/world/drain.ts";
import { MemoryFiles } from "../../lib/storage/memory_files.ts";
import { MemoryNetwork } from "../../lib/transport/memory_network.ts";
import { RecordingLog } from "../support/recording_log.ts";
import { runOn } from "../transport/world.ts";

/** A machine that a node can run on, again and again. */
export interface Machine {
  readonly files: MemoryFiles;
  readonly log: RecordingLog;
  readonly runtime: Runtime;
  /** Start a node on it. */
  start(options: MachineOptions): Promise<Node>;
  /** Start a relay on it. */
  startRelay(
    options?: MachineOptions & Partial<RelayOptions>,
  ): Promise<RelayNode>;
  /** Where a relay on it listens. */
  readonly listen: SocketAddress;
  /** Options that let a client dial from it. */
  readonly client: ClientOptions;
}

/** What a node on a machine takes, beside what the machine decides. */
export type MachineOptions = Partial<NodeOptions>;

/** A node that is a relay. */
export interface RelayNode extends AsyncDisposable {
  readonly node: Node;
  readonly relay: RelayRole;
  /** For the bootstrap list of others. */
  readonly address: NodeAddress;
}

/** Some machines and what connects them. */
export class NodeWorld {
  readonly clock: VirtualClock;
  readonly network: MemoryNetwork;
  #count = 0;

  /** @param busy Whether time stands still, for a test that waits for the real network. */
  constructor(busy?: () => boolean) {
    const drain = createDrain(busy && { busy });
    this.clock = new VirtualClock({ drain, maxEvents: 1e6 });
    this.network = new MemoryNetwork({
      clock: this.clock,
      random: seededRandom(1),
      link: () => ({ latencyMs: 10 }),
    });
  }

  /** A network of relays, which runs until the stack is disposed of. */
  async relays(
    count: number,
    stack: AsyncDisposableStack,
  ): Promise<RelayNode[]> {
    const first = stack.use(await this.machine().startRelay());
    const bootstrap = [first.address];
    const others = await Promise.all(
      Array.from(
        { length: count - 1 },
        () => this.machine().startRelay({ bootstrap }),
      ),
    );
    return [first, ...others.map((relay) => stack.use(relay))];
  }

  /** Another machine, with its own address and an empty disk. */
  machine(clock: Clock = this.clock): Machine {
    const number = ++this.#count;
    const files = new MemoryFiles();
    const log = new RecordingLog();
    const runtime: Runtime = {
      clock,
      random: seededRandom(number),
      crypto: repeatableSuite(),
      files,
      log,
      openEndpoint: (options) =>
        Promise.try(() => this.network.endpoint(options)),
    };
    const listen = { host: `10.0.0.${number}`, port: 4001 };
    const start = (options: MachineOptions) =>
      Node.start({
        state: "state",
        network: networkParameters("local"),
        bootstrap: [],
        control: "off",
        holder: "test",
        signal: new AbortController().signal,
        ...options,
      }, runtime);
    const startRelay = async (
      { advertise = [], bandwidth, limits, contact, family, ...options }:
        & MachineOptions
        & Partial<RelayOptions> = {},
    ): Promise<RelayNode> => {
      const relayOptions = {
        listen,
        advertise,
        bandwidth,
        limits,
        contact,
        family,
      };
      const node = await start({ relay: relayOptions, ...options });
      const { relay, address } = node;
      assert.ok(relay !== undefined && address !== undefined);
      return {
        node,
        relay,
        address,
        [Symbol.asyncDispose]: () => node[Symbol.asyncDispose](),
      };
    };
    const client = { dialFrom: { ...listen, port: 0 }, hops: 3 };
    return { files, log, runtime, listen, start, startRelay, client };
  }
}

/** Run a test in a world of its own, as fast as events follow each other. */
export async function inNodeWorld(
  test: (world: NodeWorld) => Promise<void>,
  busy?: () => boolean,
): Promise<void> {
  const world = new NodeWorld(busy);
  await runOn(world.clock, test(world));
}
