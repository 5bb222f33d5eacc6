/**
 * Where a service's streams lead: a TCP port, a unix socket, or a function of the
 * embedding program.
 *
 *     80 = 127.0.0.1:8080        80 = [::1]:8080        22 = unix:/run/ssh.sock
 *
 * @see protocol §7.7 "Behind the service"
 * @module
 */
import {
  formatSocketAddress,
  parseSocketAddress,
  type SocketAddress,
} from "../../auth/socket_address.ts";
import { ConfigError } from "../../base/errors.ts";
import type { SessionStreamHandle } from "../session/session_stream.ts";

/** Where streams to one virtual port lead. */
export type StreamTarget =
  | { readonly type: "tcp"; readonly address: SocketAddress }
  | { readonly type: "unix"; readonly path: string }
  | { readonly type: "handler"; readonly handle: StreamHandler };

/**
 * Takes streams in the embedding program. It accepts each or aborts it; one that
 * it has let go of without an end is aborted.
 *
 * @param signal Aborts when the service stops.
 */
export type StreamHandler = (
  stream: SessionStreamHandle,
  signal: AbortSignal,
) => Promise<void>;

const UNIX_PREFIX = "unix:";

/**
 * Read a target as operators write it: `IP:PORT`, or `unix:PATH`.
 *
 * @throws {ConfigError} `service.target`; the message says what to write.
 */
export function parseStreamTarget(text: string): StreamTarget {
  if (text.startsWith(UNIX_PREFIX)) {
    const path = text.slice(UNIX_PREFIX.length);
    if (path === "") throw fail(text);
    return { type: "unix", path };
  }
  try {
    const address = parseSocketAddress(
      text.replace(/^localhost:/i, "127.0.0.1:"),
    );
    if (address.port === 0) throw fail(text);
    return { type: "tcp", address };
  } catch {
    throw fail(text);
  }
}

/** As operators write it; `handler` for a function. */
export function formatStreamTarget(target: StreamTarget): string {
  switch (target.type) {
    case "tcp":
      return formatSocketAddress(target.address);
    case "unix":
      return UNIX_PREFIX + target.path;
    case "handler":
      return "handler";
  }
}

function fail(text: string): ConfigError {
  return new ConfigError(
    "service.target",
    `Cannot serve "${text}": write an IP address and port, such as ` +
      `127.0.0.1:8080, or a socket, such as unix:/run/site.sock`,
  );
}
