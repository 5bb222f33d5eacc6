/**
 * The UDP sockets of one endpoint: one, or two where IPv4 and IPv6 need their own.
 *
 *     asked for    Linux, macOS     Windows                    no IPv6 at all
 *     ::           ::  (both)       ::  and 0.0.0.0, one port  0.0.0.0
 *     an address   that one
 *
 * On Windows the runtime leaves `::` to IPv6 alone.
 *
 * @module
 */
import type { SocketAddress } from "../auth/socket_address.ts";
import { listenFailure } from "./_failures.ts";

/** What of the runtime is used here; tests give their own. */
interface SocketOptions {
  readonly bind?: (options: Deno.QuicEndpointOptions) => Deno.QuicEndpoint;
  readonly os?: typeof Deno.build.os;
}

/** At least one socket; the first says where the endpoint listens. */
export interface QuicSockets {
  readonly first: Deno.QuicEndpoint;
  /** Carries IPv4 where `first` cannot. */
  readonly ipv4: Deno.QuicEndpoint | undefined;
}

/**
 * Bind.
 *
 * @throws {ConfigError} `transport.port_in_use`, `.address`, `.permission`, `.listen`.
 */
export function bindSockets(
  address: SocketAddress,
  options: SocketOptions = {},
): QuicSockets {
  const { bind = (at) => new Deno.QuicEndpoint(at), os = Deno.build.os } =
    options;
  const bindOne = (hostname: string, port: number) => bind({ hostname, port });
  try {
    if (address.host !== "::") {
      return { first: bindOne(address.host, address.port), ipv4: undefined };
    }
    return os === "windows"
      ? bindPair(bindOne, address.port)
      : bindAny(bindOne, address.port);
  } catch (cause) {
    throw listenFailure(address, cause);
  }
}

type BindOne = (hostname: string, port: number) => Deno.QuicEndpoint;

function bindAny(bind: BindOne, port: number): QuicSockets {
  try {
    return { first: bind("::", port), ipv4: undefined };
  } catch (error) {
    if (isFinal(error)) throw error;
    return { first: bind("0.0.0.0", port), ipv4: undefined };
  }
}

function bindPair(bind: BindOne, port: number): QuicSockets {
  const { first } = bindAny(bind, port);
  if (first.addr.hostname !== "::") return { first, ipv4: undefined };
  try {
    return { first, ipv4: bind("0.0.0.0", first.addr.port) };
  } catch (error) {
    // Taken by `first`: a runtime that has learnt to open both with `::`.
    if (error instanceof Deno.errors.AddrInUse) {
      return { first, ipv4: undefined };
    }
    first.close();
    throw error;
  }
}

/** Whether another address family would fail in the same way. */
function isFinal(error: unknown): boolean {
  return error instanceof Deno.errors.AddrInUse ||
    error instanceof Deno.errors.NotCapable ||
    error instanceof Deno.errors.PermissionDenied;
}
