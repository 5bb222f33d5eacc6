/**
 * Bytes as text, one character each (ISO 8859-1), and back: what HTTP heads and
 * SOCKS names are made of before a parser says what they mean.
 *
 * `TextDecoder("latin1")` is another thing: it reads 0x80 to 0x9f as windows-1252.
 *
 * @module
 */
import type { Bytes } from "../base/bytes.ts";

/** Arguments that one call takes without risk for the stack. */
const PIECE = 4096;

/** Text of bytes; character `n` is byte `n`. */
export function latin1Text(bytes: Uint8Array): string {
  let text = "";
  for (let start = 0; start < bytes.length; start += PIECE) {
    text += String.fromCharCode(...bytes.subarray(start, start + PIECE));
  }
  return text;
}

/** Bytes of text. @throws {RangeError} on characters above U+00FF. */
export function latin1Bytes(text: string): Bytes {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 0xff) throw new RangeError("Cannot encode text: not Latin-1");
    bytes[i] = unit;
  }
  return bytes;
}
