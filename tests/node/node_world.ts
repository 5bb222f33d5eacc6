/**
 * Whole nodes in one process: memory for network and disks, a virtual clock.
 *
 * @module
 */
import { networkParameters } from "../../lib/auth/network.ts";
import { seededRandom } from "../../lib/base/random.ts";
import { VirtualClock } from "../../lib/base/virtual_clock.ts";
import { nativeSuite } from "../../lib/crypto/native.ts";
import { Node, type NodeOptions } from "../../lib/node/node.ts";
import type { Runtime } from "../../lib/node/runtime.ts";
import { createDrain } from "../../lib/sim/drain.ts";
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
  start(options?: Partial<NodeOptions>): Promise<Node>;
}

/** Some machines and what connects them. */
export class NodeWorld {
  readonly clock = new VirtualClock({ drain: createDrain(), maxEvents: 1e6 });
  readonly network = new MemoryNetwork({
    clock: this.clock,
    random: seededRandom(1),
    link: () => ({ latencyMs: 10 }),
  });
  #count = 0;

  /** Another machine, with its own address and an empty disk. */
  machine(): Machine {
    const number = ++this.#count;
    const files = new MemoryFiles();
    const log = new RecordingLog();
    const runtime: Runtime = {
      clock: this.clock,
      random: seededRandom(number),
      crypto: nativeSuite(),
      files,
      log,
      openEndpoint: (options) =>
        Promise.try(() => this.network.endpoint(options)),
    };
    const start = (options: Partial<NodeOptions> = {}) =>
      Node.start({
        state: "state",
        network: networkParameters("local"),
        listen: { host: `10.0.0.${number}`, port: 4001 },
        advertise: [],
        bootstrap: [],
        control: "off",
        holder: "test",
        signal: new AbortController().signal,
        ...options,
      }, runtime);
    return { files, log, runtime, start };
  }
}

/** Run a test in a world of its own, as fast as events follow each other. */
export async function inNodeWorld(
  test: (world: NodeWorld) => Promise<void>,
): Promise<void> {
  const world = new NodeWorld();
  await runOn(world.clock, test(world));
}
