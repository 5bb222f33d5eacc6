/**
 * Text whose characters are bytes, 0 to 255: what a line holds, whatever its encoding.
 *
 * @module
 */
import type { Bytes } from "../base/bytes.ts";

/** Bytes as text, one character each. */
export function byteText(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}

/** What {@linkcode byteText} undoes; characters beyond lose their upper bits. */
export function textBytes(text: string): Bytes {
  return Uint8Array.from(text, (character) => character.charCodeAt(0));
}

/** Bytes of hexadecimal text, in either case; `undefined` for anything else. */
export function parseHex(text: string): Bytes | undefined {
  const isHex = text.length % 2 === 0 && /^[0-9a-fA-F]*$/.test(text);
  return isHex ? Uint8Array.fromHex(text) : undefined;
}
