/**
 * A port of this machine for programs and browsers of its user.
 *
 * @see protocol §9.3 "Control interface"
 * @module
 */
import type { SocketAddress } from "../auth/socket_address.ts";
import { ConfigError } from "../base/errors.ts";

/** What is said of a port that is in use: `Cannot <what>: port 1 is in use; …`. */
export interface PortWords {
  readonly code: string;
  /** Such as `open the dashboard`. */
  readonly what: string;
  /** The flag that names another port. */
  readonly flag: string;
}

/**
 * Serve HTTP on a TCP port.
 *
 * @throws {ConfigError} with the code of the words when the port is in use; the
 * system's own errors otherwise.
 */
export function serveTcp(
  options: Deno.ServeTcpOptions,
  answer: (request: Request) => Response | Promise<Response>,
  words: PortWords,
): Deno.HttpServer<Deno.NetAddr> {
  return opened(() => Deno.serve(options, answer), options.port, words);
}

/**
 * Listen on a TCP port for what is not HTTP.
 *
 * @throws as {@linkcode serveTcp}.
 */
export function listenTcp(
  { host: hostname, port }: SocketAddress,
  words: PortWords,
): Deno.TcpListener {
  return opened(() => Deno.listen({ hostname, port }), port, words);
}

function opened<T>(
  open: () => T,
  port: number | undefined,
  { code, what, flag }: PortWords,
): T {
  try {
    return open();
  } catch (cause) {
    if (!(cause instanceof Deno.errors.AddrInUse)) throw cause;
    throw new ConfigError(
      code,
      `Cannot ${what}: port ${port} is in use; give another one with ` +
        `${flag}, or port 0 for any`,
      { cause },
    );
  }
}
