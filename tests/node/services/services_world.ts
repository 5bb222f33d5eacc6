/**
 * A node's services that come and go, in a world of fake circuits.
 *
 * @module
 */
import { NodeServices } from "../../../lib/node/host/node_services.ts";
import { HostedServices } from "../../../lib/node/services/hosted_services.ts";
import { KeptServices } from "../../../lib/node/services/kept_services.ts";
import { Visits } from "../../../lib/node/visit/visits.ts";
import type { Files } from "../../../lib/storage/files.ts";
import { MemoryFiles } from "../../../lib/storage/memory_files.ts";
import { StateDirectory } from "../../../lib/storage/state_directory.ts";
import { echo } from "../../support/stream_handlers.ts";
import type { ServiceWorld } from "../session/service_world.ts";

/** Where the services of these tests lead. */
export const TARGETS = new Map([[
  80,
  { type: "handler", handle: echo } as const,
]]);

/** The same, for those that can be remembered. */
export const KEPT_TARGETS = new Map([[
  80,
  { type: "tcp", address: { host: "127.0.0.1", port: 8080 } } as const,
]]);

/** A service in memory, under a new key. */
export const NEW = {
  targets: TARGETS,
  key: { type: "new" },
  keep: "memory",
} as const;

/** A service that comes back. */
export const STORED = {
  targets: KEPT_TARGETS,
  key: { type: "stored" },
  keep: "state",
} as const;

/** The services of a node that starts on `files`. */
export async function openHosted(
  world: ServiceWorld,
  stack: AsyncDisposableStack,
  files: Files = new MemoryFiles(),
) {
  const context = world.context();
  const { crypto, random, log } = context;
  const state = stack.use(
    await StateDirectory.open("state", {
      files,
      crypto,
      holder: "test",
      onSetAside: () => {},
    }),
  );
  const visits = stack.use(new Visits({ context }));
  const services = stack.use(new NodeServices(context, visits, state, 4_000));
  const kept = await KeptServices.load(state, log);
  const hosted = stack.use(
    new HostedServices({ services, kept, crypto, random, log }),
  );
  return { services, hosted, kept, state, visits, log, files, context };
}
