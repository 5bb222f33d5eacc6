/**
 * What is done once for all workers, before the first one starts: their state
 * directories hold one family key, they are told of the network that the first one is
 * of, and their ports are free.
 *
 * @see protocol §9.1 "State directory"
 * @module
 */
import {
  formatSocketAddress,
  type SocketAddress,
} from "../../auth/socket_address.ts";
import { ConfigError } from "../../base/errors.ts";
import type { Runtime } from "../../machine/runtime.ts";
import { Membership } from "../../node/directory/membership.ts";
import { shareFamily } from "../../node/relay/family_key.ts";
import { StateDirectory } from "../../storage/state_directory.ts";
import type { WorkerOptions } from "./worker_plan.ts";

/**
 * Prepare them.
 *
 * @returns What to tell them then.
 * @throws {ConfigError} `storage.*`, `transport.*`, `auth.invite_*`, `node.family`.
 */
export async function prepareWorkers(
  plans: readonly WorkerOptions[],
  runtime: Runtime,
): Promise<WorkerOptions[]> {
  const [first] = plans;
  if (first === undefined) return [];
  using stack = new DisposableStack();
  const states: StateDirectory[] = [];
  for (const { state } of plans) {
    states.push(stack.use(await open(state, runtime)));
  }
  const [own] = states;
  if (own === undefined) return [];
  const membership = await Membership.open(own, first, runtime);
  const { network } = membership;
  for (const { relay } of plans) {
    if (relay) checkPort(relay.listen);
  }
  await shareFamily(states, runtime);
  return plans.map((plan, index) => ({
    ...plan,
    network: index === 0 ? plan.network : network,
    bootstrap: [...plan.bootstrap, ...membership.relays],
  }));
}

async function open(
  path: string,
  { files, crypto, log }: Runtime,
): Promise<StateDirectory> {
  return await StateDirectory.open(path, {
    files,
    crypto,
    holder: `pid ${Deno.pid}`,
    onSetAside: ({ path, movedTo }) =>
      log.part("state").error(
        "A damaged file was set aside; going on without it",
        { path, movedTo },
      ),
  });
}

/** A port that is taken is told before any of them works or joins. */
function checkPort({ host, port }: SocketAddress): void {
  if (port === 0) return;
  try {
    // No QUIC endpoint: such a one gives its port back only some time after it closed.
    Deno.listenDatagram({ transport: "udp", hostname: host, port }).close();
  } catch (error) {
    // What else is wrong the worker tells.
    if (!(error instanceof Deno.errors.AddrInUse)) return;
    throw new ConfigError(
      "transport.port_in_use",
      `Cannot listen on ${
        formatSocketAddress({ host, port })
      }: another program ` +
        `uses this UDP port, and workers take as many in a row; choose another ` +
        `--listen, or port 0 for any free ones`,
      { cause: error },
    );
  }
}
