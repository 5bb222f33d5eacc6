/**
 * User names and passwords of SOCKS5. The proxy does not check them: they are isolation keys.
 *
 *     VER  ULEN  UNAME  PLEN  PASSWD
 *     1    1     ULEN   1     PLEN
 *
 * @see protocol §8.3 "SOCKS5"
 * @see {@link https://www.rfc-editor.org/rfc/rfc1929 | RFC 1929}
 * @module
 */
import { ProtocolError } from "../../base/errors.ts";
import { passwordIsolation } from "../isolation_key.ts";
import { latin1Text } from "../../http/latin1.ts";

const VERSION = 0x01;

/** The answer to every one of them: welcome. */
export const SOCKS_AUTH_REPLY: Readonly<Uint8Array<ArrayBuffer>> = Uint8Array
  .of(VERSION, 0x00);

/** What a client said of itself. */
export interface SocksAuth {
  readonly isolation: string;
  /** Bytes the message took, at most 513. */
  readonly bytesRead: number;
}

/**
 * Read one message from the start of `data`. Empty names and passwords are taken.
 *
 * @returns The key, or `undefined` while `data` holds only the beginning.
 * @throws {ProtocolError} `socks.auth_version`.
 */
export function decodeSocksAuth(data: Uint8Array): SocksAuth | undefined {
  const [version, nameBytes] = data;
  if (version === undefined) return undefined;
  if (version !== VERSION) {
    throw new ProtocolError(
      "socks.auth_version",
      `Cannot read user name: found byte ${version}`,
    );
  }
  if (nameBytes === undefined) return undefined;
  const nameEnd = 2 + nameBytes;
  const passwordBytes = data[nameEnd];
  if (passwordBytes === undefined) return undefined;
  const bytesRead = nameEnd + 1 + passwordBytes;
  if (data.length < bytesRead) return undefined;
  const name = latin1Text(data.subarray(2, nameEnd));
  const password = latin1Text(data.subarray(nameEnd + 1, bytesRead));
  return { isolation: passwordIsolation(name, password), bytesRead };
}
