/**
 * The runtime's QUIC errors as ours. It tells them apart by text alone; the
 * numbers in it are TLS alerts.
 *
 *     the cryptographic handshake failed: error 51: invalid peer certificate: …
 *     aborted by peer: the cryptographic handshake failed: error 120: …
 *     timed out · closed · endpoint stopping · invalid remote address: …
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc8446#section-6.2 | RFC 8446 §6.2},
 * {@link https://www.rfc-editor.org/rfc/rfc7301#section-3.2 | RFC 7301 §3.2}
 * @module
 */
import {
  type AnonNetError,
  ConfigError,
  ProtocolError,
  UnreachableError,
} from "../base/errors.ts";
import {
  formatSocketAddress,
  type SocketAddress,
} from "../auth/socket_address.ts";

/** `no_application_protocol`: the other side does not speak our protocol. */
const ALPN_ALERT = 120;

/** A connection or a stream of it ended under our hands. */
export function lost(cause?: unknown): UnreachableError {
  return new UnreachableError(
    "transport.lost",
    "Cannot use stream: connection or stream has ended",
    { cause },
  );
}

/** Too much of our own is under way. */
export function busy(what: string): UnreachableError {
  return new UnreachableError(
    "transport.busy",
    `Cannot ${what}: too many attempts under way`,
  );
}

/** Our endpoint is closed. */
export function endpointClosed(cause?: unknown): UnreachableError {
  return new UnreachableError(
    "transport.closed",
    "Cannot connect: our endpoint is closed",
    { cause },
  );
}

/** No node answers, or only a refusal. */
export function unreachable(cause?: unknown): UnreachableError {
  return new UnreachableError(
    "transport.unreachable",
    "Cannot connect: no node answers",
    { cause },
  );
}

/** A node answers that does not hold the key that we want. */
export function wrongIdentity(cause?: unknown): ProtocolError {
  return new ProtocolError(
    "transport.wrong_identity",
    "Cannot connect: the answering side does not hold the expected key",
    { cause },
  );
}

/** The answering side speaks another protocol, or an older version of ours. */
export function wrongProtocol(cause?: unknown): ProtocolError {
  return new ProtocolError(
    "transport.wrong_protocol",
    "Cannot connect: the answering side speaks another protocol",
    { cause },
  );
}

/** Why a dial failed. */
export function dialFailure(cause: unknown): AnonNetError {
  const text = cause instanceof Error ? cause.message : "";
  if (text === "closed" || text === "endpoint stopping") {
    return endpointClosed(cause);
  }
  const alert = Number(/\berror (\d+)\b/.exec(text)?.[1]);
  if (alert === ALPN_ALERT || text.includes("any supported version")) {
    return wrongProtocol(cause);
  }
  // Our own verdict on a certificate; what the other side says proves nothing.
  if (text.includes("certificate") && !text.startsWith("aborted by peer")) {
    return wrongIdentity(cause);
  }
  return unreachable(cause);
}

/** Why an endpoint cannot listen, as advice for the operator. */
export function listenFailure(
  address: SocketAddress,
  cause: unknown,
): ConfigError {
  const where = formatSocketAddress(address);
  const fail = (code: string, why: string) =>
    new ConfigError(code, `Cannot listen on ${where}: ${why}`, { cause });
  if (cause instanceof Deno.errors.AddrInUse) {
    return fail(
      "transport.port_in_use",
      "another program uses this UDP port; choose another port, or 0 for any free one",
    );
  }
  if (cause instanceof Deno.errors.AddrNotAvailable) {
    return fail(
      "transport.address",
      "this machine does not have that address; listen on one of its own, or on [::] for all",
    );
  }
  if (
    cause instanceof Deno.errors.NotCapable ||
    cause instanceof Deno.errors.PermissionDenied
  ) {
    return fail(
      "transport.permission",
      `not permitted; choose a port above 1023, and run with --allow-net or --allow-net=${where}`,
    );
  }
  return fail("transport.listen", "the system refuses; choose another address");
}
