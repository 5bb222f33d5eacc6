/**
 * Connections of a service to what stands behind it, on this machine or beside it.
 *
 * @see protocol §7.7 "Behind the service"
 * @module
 */
import type { Bytes } from "../../base/bytes.ts";
import { type Clock, deadline, raceSignal } from "../../base/clock.ts";
import { UnreachableError } from "../../base/errors.ts";
import type { StreamTarget } from "./stream_target.ts";
import type { TargetConnection } from "./target_connection.ts";
import { TargetSocket } from "./target_socket.ts";

/** A target that has not answered by then is taken for down, ms. */
const DIAL_MS = 10_000;

/** Targets that are dialled. */
export type DialledTarget = Exclude<StreamTarget, { type: "handler" }>;

/**
 * Connect to a target.
 *
 * @throws {UnreachableError} `service.target_refused`, `service.target_timeout`.
 * @throws the signal's reason.
 */
export type TargetDial = (
  target: DialledTarget,
  options: { readonly signal: AbortSignal },
) => Promise<TargetConnection>;

/** A dial over the machine's sockets. */
export function systemDial(clock: Clock): TargetDial {
  return async (target, { signal }) => {
    using limit = deadline(clock, DIAL_MS, timeout, signal);
    const dialling = connect(target, limit.signal);
    try {
      return await raceSignal(dialling, limit.signal);
    } catch (cause) {
      dialling.then((late) => late.close(), () => {});
      limit.signal.throwIfAborted();
      throw new UnreachableError(
        "service.target_refused",
        "Cannot reach target: it does not take connections",
        { cause },
      );
    }
  };
}

/** A dial whose connections begin with some bytes of ours. */
export function announcing(dial: TargetDial, first: Bytes): TargetDial {
  return async (target, options) => {
    const connection = await dial(target, options);
    try {
      for (let sent = 0; sent < first.length;) {
        sent += await connection.write(first.subarray(sent));
      }
    } catch (cause) {
      connection.close();
      throw new UnreachableError(
        "service.target_refused",
        "Cannot reach target: it takes connections and no bytes",
        { cause },
      );
    }
    return connection;
  };
}

async function connect(
  target: DialledTarget,
  signal: AbortSignal,
): Promise<TargetConnection> {
  if (target.type === "tcp") {
    return await TargetSocket.connect(target.address, signal);
  }
  const { path } = target;
  const socket = await Deno.connect({ transport: "unix", path });
  return {
    read: (into) => socket.read(into),
    write: (bytes) => socket.write(bytes),
    closeWrite: () => socket.closeWrite(),
    close: () => socket.close(),
    reset: () => socket.close(),
  };
}

function timeout(): UnreachableError {
  return new UnreachableError(
    "service.target_timeout",
    "Cannot reach target: it does not answer",
  );
}
