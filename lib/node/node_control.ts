/**
 * A node's control interface: opened beside its state, and told of in a note
 * that `anonnet status` and its like read.
 *
 * @see protocol §9.3 "Control interface"
 * @module
 */
import { thrown } from "../log/log.ts";
import type { SocketAddress } from "../auth/socket_address.ts";
import { ConfigError } from "../base/errors.ts";
import {
  type ControlPlace,
  formatControlNote,
  newControlToken,
} from "../control/control_note.ts";
import { ControlServer } from "../control/control_server.ts";
import type { MetricsDoor } from "../control/metrics_door.ts";
import type { StateDirectory } from "../storage/state_directory.ts";
import type { Runtime } from "../machine/runtime.ts";

/** Name of the note in the state directory. */
export const CONTROL_NOTE = "control";
const CONTROL_SOCKET = "control-socket";

/** Any free port of the loopback interface. */
const LOOPBACK: ControlPlace = {
  type: "tcp",
  address: { host: "127.0.0.1", port: 0 },
};

/**
 * Open the control interface: at `address` if there is one, else on a socket in
 * the state directory, else, where that cannot be, on a loopback port.
 *
 * @param metrics Answers requests for metrics there.
 * @returns Dispose of it before the state directory.
 * @throws {ConfigError} `control.*` when `address` cannot be used.
 */
export async function openControl(
  state: StateDirectory,
  address: SocketAddress | undefined,
  metrics: MetricsDoor,
  { random, log }: Runtime,
): Promise<NodeControl> {
  const token = newControlToken(random);
  const onError = (command: string, error: unknown) =>
    log.part("control").error("A bug: a command failed", {
      command,
      error: thrown(error),
    });
  const open = (place: ControlPlace) =>
    new ControlServer({ place, token, metrics, onError });
  // What a killed process left behind would be in the way.
  await state.removeNote(CONTROL_SOCKET);
  const path = state.pathOf(CONTROL_SOCKET);
  const server = address !== undefined
    ? open({ type: "tcp", address })
    : openUnix(path, open) ?? open(LOOPBACK);
  try {
    const place = notedPlace(server.place);
    await state.writeNote(CONTROL_NOTE, formatControlNote({ place, token }));
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw error;
  }
  return new NodeControl(server, state);
}

/** The place as the note has it: relative to where the note is. */
function notedPlace(place: ControlPlace): ControlPlace {
  return place.type === "unix" ? { type: "unix", path: CONTROL_SOCKET } : place;
}

/** `undefined` where there are no such sockets, or not with a path like this. */
function openUnix(
  path: string,
  open: (place: ControlPlace) => ControlServer,
): ControlServer | undefined {
  if (Deno.build.os === "windows") return undefined;
  try {
    return open({ type: "unix", path });
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    // A path of over 100 bytes, a disk without sockets, no permission.
    return undefined;
  }
}

/** An open control interface, and its note. */
export class NodeControl implements AsyncDisposable {
  readonly server: ControlServer;
  readonly #state: StateDirectory;

  constructor(server: ControlServer, state: StateDirectory) {
    this.server = server;
    this.#state = state;
  }

  /** Close it and take the note away. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#state.removeNote(CONTROL_NOTE);
    await this.server[Symbol.asyncDispose]();
  }
}
