/**
 * Byte arrays: joining, comparing, wiping, and the text forms we use.
 *
 * @module
 */

/** Bytes with a buffer of their own, as web APIs want them. */
export type Bytes = Uint8Array<ArrayBuffer>;

/** One array after the other. */
export function concat(...parts: readonly Uint8Array[]): Bytes {
  let length = 0;
  for (const part of parts) length += part.length;
  const out = new Uint8Array(length);
  let offset = 0;
  for (const part of parts) {
    out.set(part, offset);
    offset += part.length;
  }
  return out;
}

/** Whether two arrays hold the same bytes. For public values: stops early. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** The same in time that depends on the lengths alone. For secrets. */
export function equalSecret(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false;
  let difference = 0;
  for (let i = 0; i < a.length; i++) {
    difference |= (a[i] as number) ^ (b[i] as number);
  }
  return difference === 0;
}

/** Order of two arrays, byte by byte: negative, 0 or positive. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const difference = (a[i] as number) - (b[i] as number);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** Overwrite secrets. JavaScript may have copied them; this is the best it offers. */
export function wipe(...secrets: readonly Uint8Array[]): void {
  for (const secret of secrets) secret.fill(0);
}

const UTF8_ENCODER = new TextEncoder();
const UTF8_DECODER = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Text as UTF-8. */
export function utf8(text: string): Bytes {
  return UTF8_ENCODER.encode(text);
}

/** UTF-8 as text. @throws {TypeError} on bytes that are not UTF-8. */
export function utf8Text(bytes: Uint8Array): string {
  return UTF8_DECODER.decode(bytes);
}

const BASE32 = "abcdefghijklmnopqrstuvwxyz234567";
const BASE32_VALUES = new Map(
  [...BASE32].map((character, value) => [character, value]),
);

/**
 * Base32 in lower case without padding (RFC 4648 §6).
 * @see {@link https://www.rfc-editor.org/rfc/rfc4648#section-6 | RFC 4648 §6}
 */
export function formatBase32(bytes: Uint8Array): string {
  let text = "";
  let bits = 0;
  let value = 0;
  for (const byte of bytes) {
    value = (value << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += BASE32[(value >>> bits) & 31];
    }
    value &= (1 << bits) - 1;
  }
  if (bits > 0) text += BASE32[(value << (5 - bits)) & 31];
  return text;
}

/**
 * Read base32 in either case, without padding.
 *
 * @returns The bytes, or `undefined` where a character does not belong, the
 * length is impossible, or the unused bits of the last character are set.
 */
export function parseBase32(text: string): Bytes | undefined {
  const out = new Uint8Array(Math.floor((text.length * 5) / 8));
  let bits = 0;
  let value = 0;
  let offset = 0;
  for (const character of text.toLowerCase()) {
    const digit = BASE32_VALUES.get(character);
    if (digit === undefined) return undefined;
    value = (value << 5) | digit;
    bits += 5;
    if (bits >= 8) {
      bits -= 8;
      out[offset++] = value >>> bits;
      value &= (1 << bits) - 1;
    }
  }
  return bits >= 5 || value !== 0 ? undefined : out;
}
