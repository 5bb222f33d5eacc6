/**
 * Where to find a node and who must answer there, as people pass it on:
 *
 *     anon://<public key, base32, 52 characters>@192.0.2.7:4001
 *
 * @see protocol §2.2 "Node addresses"
 * @module
 */
import { formatBase32, parseBase32 } from "../base/bytes.ts";
import { ConfigError } from "../base/errors.ts";
import { asPublicKey, type PublicKey } from "./identity.ts";
import {
  formatSocketAddress,
  parseSocketAddress,
  type SocketAddress,
} from "./socket_address.ts";

/** A place, and the identity that must prove itself there. */
export interface NodeAddress {
  /** Who must answer. */
  readonly publicKey: PublicKey;
  /** Where; the port is not 0. */
  readonly address: SocketAddress;
}

const SCHEME = "anon://";
/** Base32 characters of a public key: 256 bits, 5 in each. */
const KEY_CHARACTERS = 52;

/** The text of a node address; {@linkcode parseNodeAddress} undoes it. */
export function formatNodeAddress(node: NodeAddress): string {
  const key = formatBase32(node.publicKey);
  return `${SCHEME}${key}@${formatSocketAddress(node.address)}`;
}

/**
 * Read a node address. The key may be in either case; all else is exact.
 *
 * @throws {ConfigError} `auth.node_address`; the message says which part is wrong.
 */
export function parseNodeAddress(text: string): NodeAddress {
  if (!text.startsWith(SCHEME)) throw fail(`it does not begin with ${SCHEME}`);
  const at = text.indexOf("@");
  if (at < 0) throw fail("there is no @ between key and address");
  const key = text.slice(SCHEME.length, at);
  if (key.length !== KEY_CHARACTERS) {
    throw fail(`the key has ${key.length} characters, not ${KEY_CHARACTERS}`);
  }
  const publicKey = parseBase32(key);
  if (publicKey === undefined) throw fail("the key is not base32");
  const address = parseAddress(text.slice(at + 1));
  if (address.port === 0) throw fail("port 0 cannot be dialled");
  return { publicKey: asPublicKey(publicKey), address };
}

function parseAddress(text: string): SocketAddress {
  try {
    return parseSocketAddress(text);
  } catch (cause) {
    if (!(cause instanceof ConfigError)) throw cause;
    throw fail("what follows the @ is not an IP literal and a port", cause);
  }
}

function fail(why: string, cause?: unknown): ConfigError {
  return new ConfigError(
    "auth.node_address",
    `Cannot read node address: ${why}; write ${SCHEME}<key>@192.0.2.7:4001 as the node printed it`,
    { cause },
  );
}
