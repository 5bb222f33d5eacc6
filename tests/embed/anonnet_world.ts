/**
 * Embedding programs in a world of whole nodes: memory for network and disks, a
 * virtual clock.
 *
 * @module
 */
import { formatNodeAddress } from "../../lib/auth/node_address.ts";
import { AnonNet, type AnonNetOptions } from "../../lib/embed/anonnet.ts";
import type { AnonService } from "../../lib/embed/anon_service.ts";
import type { SiteHandler } from "../../lib/http/site_answer.ts";
import {
  inNodeWorld,
  type Machine,
  NodeWorld,
  type RelayNode,
} from "../node/node_world.ts";

/** Two guards, three hops from each side, and one more that the other side chose. */
const RELAYS = 7;

/** A network with some programs. */
export class AnonNetWorld {
  readonly world: NodeWorld;
  readonly relays: readonly RelayNode[];
  readonly #stack: AsyncDisposableStack;

  constructor(
    world: NodeWorld,
    relays: readonly RelayNode[],
    stack: AsyncDisposableStack,
  ) {
    this.world = world;
    this.relays = relays;
    this.#stack = stack;
  }

  /** For programs that join. */
  get bootstrap(): readonly string[] {
    return this.relays.slice(0, 2)
      .map(({ address }) => formatNodeAddress(address));
  }

  /** A program, on a machine of its own. */
  async program(
    options: Partial<AnonNetOptions> = {},
    machine: Machine = this.world.machine(),
  ): Promise<AnonNet> {
    const { host } = machine.client.dialFrom;
    return this.#stack.use(
      await AnonNet.startOn(machine.runtime, {
        state: "state",
        network: "local",
        bootstrap: this.bootstrap,
        dialFrom: `${host}:0`,
        ...options,
      }),
    );
  }

  /** A program that hosts a site. */
  async site(handler: SiteHandler): Promise<AnonService> {
    const host = await this.program();
    return await host.serve({}, handler);
  }
}

/** Run a test in a network with relays. */
export function inAnonNet(
  test: (world: AnonNetWorld) => Promise<void>,
): Promise<void> {
  return inNodeWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const relays = await world.relays(RELAYS, stack);
    await test(new AnonNetWorld(world, relays, stack));
  });
}
