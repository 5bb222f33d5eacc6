/**
 * A client's part that follows the relay list, and relays for it to follow.
 *
 * @module
 */
import { Identity } from "../../../lib/auth/identity.ts";
import { networkParameters } from "../../../lib/auth/network.ts";
import { RecordVerifier } from "../../../lib/auth/record_verifier.ts";
import { sleep } from "../../../lib/base/clock.ts";
import { type PeerAddress, peerOf } from "../../../lib/node/link/link_dial.ts";
import { LinkServices } from "../../../lib/node/link/link_services.ts";
import { LinkTable } from "../../../lib/node/link/link_table.ts";
import { RelayListClient } from "../../../lib/node/directory/relay_list_client.ts";
import { StateDirectory } from "../../../lib/storage/state_directory.ts";
import type { Machine, NodeWorld, RelayNode } from "../node_world.ts";

const network = networkParameters("local");

/** A client's part that follows the relay list, and nothing else of a node. */
export async function follow(
  machine: Machine,
  stack: AsyncDisposableStack,
  bootstrap: readonly PeerAddress[],
): Promise<{ list: RelayListClient; links: LinkTable }> {
  const { runtime } = machine;
  const { clock, random, crypto, files, log } = runtime;
  const state = stack.use(
    await StateDirectory.open("state", {
      files,
      crypto,
      holder: "test",
      onSetAside() {},
    }),
  );
  const identity = stack.use(Identity.generate(crypto, random));
  const endpoint = await runtime.openEndpoint({
    address: machine.client.dialFrom,
    alpn: network.alpn,
    identity,
    crypto,
  });
  const verifier = new RecordVerifier(crypto, network);
  const links = stack.use(
    new LinkTable({
      endpoint,
      crypto,
      network,
      clock,
      random,
      verifier,
      identity,
      identityFor: () => Identity.generate(crypto, random),
      handlers: new LinkServices(log),
    }),
  );
  links.start();
  const list = stack.use(
    await RelayListClient.start({
      network,
      runtime,
      verifier,
      blobs: state.blobs,
      links,
      bootstrap,
    }),
  );
  return { list, links };
}

/** That many relays, which know each other. */
export async function relays(
  world: NodeWorld,
  count: number,
  stack: AsyncDisposableStack,
): Promise<RelayNode[]> {
  const all = await world.relays(count, stack);
  await sleep(world.clock, 30_000);
  return all;
}

/** Where they can be dialled. */
export const peers = (nodes: readonly RelayNode[]) =>
  nodes.map(({ address }) => peerOf(address));
