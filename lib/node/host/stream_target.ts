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

/** Ports that a service may have. */
export const MAX_TARGETS = 128;

/**
 * Read all ports of a service, each written `PORT=TARGET`: at least one, each once.
 *
 * @throws {ConfigError} `service.port`, `service.no_ports`, `service.target`.
 */
export function parseStreamTargets(
  words: readonly string[],
): ReadonlyMap<number, StreamTarget> {
  const targets = new Map<number, StreamTarget>();
  for (const word of words) {
    const [port, target] = parsePortWord(word);
    if (targets.has(port)) {
      throw new ConfigError(
        "service.port",
        `Cannot serve port ${port} twice: write it once`,
      );
    }
    if (targets.size >= MAX_TARGETS) {
      throw new ConfigError(
        "service.port",
        `Cannot serve more than ${MAX_TARGETS} ports: give the others to another service`,
      );
    }
    targets.set(port, target);
  }
  if (targets.size > 0) return targets;
  throw new ConfigError(
    "service.no_ports",
    "Cannot serve nothing: write PORT=TARGET, such as 80=127.0.0.1:8080 for a " +
      "web server on this machine",
  );
}

function parsePortWord(word: string): [number, StreamTarget] {
  const [, portText = "", targetText = ""] = /^([0-9]+)=(.*)$/.exec(word) ?? [];
  const port = Number(portText);
  if (portText === "" || port < 1 || port > 65535) {
    throw new ConfigError(
      "service.port",
      `Cannot serve "${word.slice(0, 80)}": write PORT=TARGET, such as ` +
        `80=127.0.0.1:8080; ports go from 1 to 65535`,
    );
  }
  return [port, parseStreamTarget(targetText)];
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
