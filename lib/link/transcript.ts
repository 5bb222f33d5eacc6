/**
 * What both sides of a handshake sign: a hash of everything that was said, and of
 * who is who. Each part is preceded by its length in 4 bytes.
 *
 *     H("anonnet v1 link transcript", network, keyD, keyA, nonceD, nonceA,
 *       Hello, Challenge body [, Challenge])
 *
 * The answerer signs the short form under `"anonnet v1 link answerer"`, the
 * dialler the long one under `"anonnet v1 link dialler"`: neither signature is
 * valid in the other role, on another link, or for other messages.
 *
 * @see protocol §3.3 "What is signed"
 * @module
 */
import type { PublicKey } from "../auth/identity.ts";
import { type Bytes, utf8 } from "../base/bytes.ts";
import type { CryptoSuite } from "../crypto/suite.ts";

/** Context of the answerer's signature. */
export const ANSWERER_CONTEXT = "anonnet v1 link answerer";
/** Context of the dialler's signature. */
export const DIALLER_CONTEXT = "anonnet v1 link dialler";

const LENGTH_BYTES = 4;
const TRANSCRIPT_CONTEXT = utf8("anonnet v1 link transcript");

/** What a transcript hashes. */
interface TranscriptParts {
  readonly network: string;
  readonly diallerKey: PublicKey;
  readonly answererKey: PublicKey;
  readonly diallerNonce: Bytes;
  readonly answererNonce: Bytes;
  /** The messages, exactly as sent, in order. */
  readonly messages: readonly Uint8Array[];
}

/** The hash that a side signs, 32 bytes. */
export function transcriptHash(
  crypto: CryptoSuite,
  parts: TranscriptParts,
): Bytes {
  const pieces = [
    TRANSCRIPT_CONTEXT,
    utf8(parts.network),
    parts.diallerKey,
    parts.answererKey,
    parts.diallerNonce,
    parts.answererNonce,
    ...parts.messages,
  ];
  let length = 0;
  for (const piece of pieces) length += LENGTH_BYTES + piece.length;
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  let offset = 0;
  for (const piece of pieces) {
    view.setUint32(offset, piece.length);
    bytes.set(piece, offset + LENGTH_BYTES);
    offset += LENGTH_BYTES + piece.length;
  }
  return crypto.sha256(bytes);
}
