/**
 * The SHA-256 of a file, as it is computed, told and compared.
 *
 *     ETag: "BASE64URL"
 *     Repr-Digest: sha-256=:BASE64:
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc9530 | RFC 9530}
 * @module
 */
import { createHash } from "node:crypto";
import type { Bytes } from "../base/bytes.ts";

/** Bytes of a digest. */
export const DIGEST_BYTES = 32;

/** A digest in the making. */
export class DigestSum {
  readonly #hash = createHash("sha256");

  /** The next bytes. */
  add(bytes: Uint8Array): void {
    this.#hash.update(bytes);
  }

  /** Of all bytes so far; more may follow. */
  get digest(): Bytes {
    return new Uint8Array(this.#hash.copy().digest());
  }
}

/** The strong ETag of a file: the same bytes have the same one, after any restart. */
export function etagOf(digest: Bytes): string {
  return `"${digest.toBase64({ alphabet: "base64url", omitPadding: true })}"`;
}

/** The `Repr-Digest` of a file, which holds for each part of it too. */
export function formatReprDigest(digest: Bytes): string {
  return `sha-256=:${digest.toBase64()}:`;
}

/** The SHA-256 that a `Repr-Digest` gives; `undefined` where it gives none. */
export function parseReprDigest(field: string): Bytes | undefined {
  const [, text] = /(?:^|,)\s*sha-256\s*=\s*:([A-Za-z0-9+/=]{40,48}):/i.exec(
    field.slice(0, 1024),
  ) ?? [];
  if (text === undefined) return undefined;
  try {
    const digest = Uint8Array.fromBase64(text);
    return digest.length === DIGEST_BYTES ? digest : undefined;
  } catch {
    return undefined;
  }
}
