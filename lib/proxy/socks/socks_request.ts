/**
 * SOCKS5 requests: bytes in, values out.
 *
 *     VER  CMD  RSV  ATYP  DST.ADDR                           DST.PORT
 *     1    1    1    1     4 | 16 | 1 + length of name        2      bytes, big-endian
 *
 * Requests that we do not serve are read to their end all the same, so that the
 * client gets an answer that says why. A client that sends an IP address has
 * already asked a resolver for it, in the clear.
 *
 * @see protocol §8.3 "SOCKS5"
 * @see {@link https://www.rfc-editor.org/rfc/rfc1928#section-4 | RFC 1928 §4}
 * @see {@link https://spec.torproject.org/socks-extensions.html | Tor's SOCKS extensions}
 * @module
 */
import { ProtocolError } from "../../base/errors.ts";
import { formatIp } from "../../auth/socket_address.ts";
import { latin1Text } from "../../http/latin1.ts";

const VERSION = 0x05;
const RESERVED = 0x00;
const HEADER_BYTES = 4;
const PORT_BYTES = 2;

const COMMANDS: ReadonlyMap<number, SocksCommand> = new Map([
  [0x01, "connect"],
  [0x02, "bind"],
  [0x03, "udp"],
  [0xf0, "resolve"],
  [0xf1, "resolve-ptr"],
]);

const ADDRESS_TYPE = { ipv4: 0x01, name: 0x03, ipv6: 0x04 } as const;

/** What a client asks for; Tor added the last two. */
export type SocksCommand =
  | "connect"
  | "bind"
  | "udp"
  | "resolve"
  | "resolve-ptr";

/** Where a client asks to be connected. */
export interface SocksRequest {
  readonly command: SocksCommand;
  /** A host name as it came, or the text of an IP address; not checked. */
  readonly host: string;
  /** TCP port, 0 to 65535. */
  readonly port: number;
  /** Bytes the request took, at most 262. */
  readonly bytesRead: number;
}

/**
 * Read one request from the start of `data`.
 *
 * @returns The request, or `undefined` while `data` holds only the beginning of
 * one. Asking for more is not an error.
 * @throws {ProtocolError} `socks.version`, `socks.command`, `socks.reserved`,
 * `socks.address_type`, on the first byte that does not fit.
 */
export function decodeSocksRequest(data: Uint8Array): SocksRequest | undefined {
  const [version, commandByte, reserved, type, firstByte] = data;
  if (version === undefined) return undefined;
  if (version !== VERSION) throw unexpected("socks.version", version);
  if (commandByte === undefined) return undefined;
  const command = COMMANDS.get(commandByte);
  if (command === undefined) throw unexpected("socks.command", commandByte);
  if (reserved === undefined) return undefined;
  if (reserved !== RESERVED) throw unexpected("socks.reserved", reserved);
  if (type === undefined) return undefined;
  const addressBytes = lengthOf(type, firstByte);
  if (addressBytes === undefined) return undefined;

  const addressEnd = HEADER_BYTES + addressBytes;
  const bytesRead = addressEnd + PORT_BYTES;
  if (data.length < bytesRead) return undefined;
  const address = data.subarray(HEADER_BYTES, addressEnd);
  const view = new DataView(data.buffer, data.byteOffset, bytesRead);
  return {
    command,
    host: type === ADDRESS_TYPE.name
      ? latin1Text(address.subarray(1))
      : formatIp(address),
    port: view.getUint16(addressEnd),
    bytesRead,
  };
}

/** Bytes of the address, with the length in front of a name. */
function lengthOf(
  type: number,
  firstByte: number | undefined,
): number | undefined {
  switch (type) {
    case ADDRESS_TYPE.ipv4:
      return 4;
    case ADDRESS_TYPE.ipv6:
      return 16;
    case ADDRESS_TYPE.name:
      return firstByte === undefined ? undefined : 1 + firstByte;
    default:
      throw unexpected("socks.address_type", type);
  }
}

function unexpected(code: string, byte: number): ProtocolError {
  return new ProtocolError(code, `Cannot read request: found byte ${byte}`);
}
