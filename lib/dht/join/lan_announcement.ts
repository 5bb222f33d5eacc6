/**
 * How a relay of a private network tells machines on its own LAN where it is.
 *
 *     tag 16 · publicKey 32 · port 2, big-endian · signature 64        114 bytes
 *
 *     tag       = first 16 bytes of H("anonnet v1 lan" ‖ 0x00 ‖ work 1 ‖ private 1 ‖ name)
 *     signature = sign(publicKey, "anonnet v1 lan announcement", tag ‖ publicKey ‖ port)
 *
 * The host is where the packet comes from. Nothing in it is a date, a name or an
 * address: who does not know the network learns of a key and a port.
 *
 * @see protocol §9.8 "Discovery on a LAN"
 * @module
 */
import { type Bytes, concat, equalBytes, utf8 } from "../../base/bytes.ts";
import {
  type CryptoSuite,
  ED25519_KEY_BYTES,
  SIGNATURE_BYTES,
} from "../../crypto/suite.ts";
import {
  asPublicKey,
  type Identity,
  type PublicKey,
  verifySigned,
} from "../../auth/identity.ts";
import type { NetworkParameters } from "../../auth/network.ts";

const TAG_CONTEXT = utf8("anonnet v1 lan");
const CONTEXT = "anonnet v1 lan announcement";
const TAG_BYTES = 16;
const PORT_BYTES = 2;
const BODY_BYTES = TAG_BYTES + ED25519_KEY_BYTES + PORT_BYTES;

/** Bytes of an announcement: any other number is none. */
export const LAN_ANNOUNCEMENT_BYTES = BODY_BYTES + SIGNATURE_BYTES;

/** What a relay says. */
export interface LanAnnouncement {
  readonly publicKey: PublicKey;
  /** The UDP port on which it listens. */
  readonly port: number;
}

/** By what an announcement of a network is told from those of others. */
export function lanTag(
  crypto: CryptoSuite,
  { name, powDifficulty, allowPrivateAddresses }: NetworkParameters,
): Bytes {
  const traits = [0, powDifficulty, allowPrivateAddresses ? 1 : 0];
  return crypto.sha256(TAG_CONTEXT, Uint8Array.from(traits), utf8(name))
    .slice(0, TAG_BYTES);
}

/** Write and sign an announcement. */
export function encodeLanAnnouncement(
  tag: Bytes,
  identity: Identity,
  port: number,
): Bytes {
  const ports = Uint8Array.of(port >> 8, port & 0xff);
  const body = concat(tag, identity.publicKey, ports);
  return concat(body, identity.sign(CONTEXT, body));
}

/**
 * Read an announcement of the network with this tag, without its signature.
 *
 * @returns `undefined` for anything else: who sends it is not blamed.
 */
export function readLanAnnouncement(
  tag: Bytes,
  message: Uint8Array,
): LanAnnouncement | undefined {
  if (message.length !== LAN_ANNOUNCEMENT_BYTES) return undefined;
  if (!equalBytes(message.subarray(0, TAG_BYTES), tag)) return undefined;
  const [high = 0, low = 0] = message.subarray(BODY_BYTES - PORT_BYTES);
  const port = high << 8 | low;
  if (port === 0) return undefined;
  const keyEnd = TAG_BYTES + ED25519_KEY_BYTES;
  return { publicKey: asPublicKey(message.subarray(TAG_BYTES, keyEnd)), port };
}

/** Whether the holder of its key signed an announcement that could be read. */
export function isSignedLanAnnouncement(
  crypto: CryptoSuite,
  { publicKey }: LanAnnouncement,
  message: Uint8Array,
): boolean {
  const body = message.subarray(0, BODY_BYTES);
  const signature = message.subarray(BODY_BYTES);
  return verifySigned(crypto, publicKey, CONTEXT, body, signature);
}
