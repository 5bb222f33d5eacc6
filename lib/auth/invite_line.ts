/**
 * An invite as one line that people copy, paste and fold:
 *
 *     "anonnet:" ‖ base64url( version   length          checksum   body ‖ signature )
 *                             1         2, big-endian   4          length bytes
 *
 *     checksum = first 4 bytes of H("anonnet v1 invite line" ‖ 0x00 ‖ body ‖ signature)
 *
 * The length tells a line that was cut short from one that was edited; the checksum
 * finds accidents, and what was changed on purpose fails the signature.
 *
 * @see protocol §9.6 "Invites"
 * @module
 */
import { type Bytes, concat, equalBytes, utf8 } from "../base/bytes.ts";
import { ConfigError } from "../base/errors.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import { PROTOCOL } from "./network.ts";

/** What each line begins with. */
const SCHEME = "anonnet:";
/** Protocol: longest line, in characters, without white space. */
export const MAX_LINE_CHARACTERS = 600;

const CHECKSUM_OFFSET = 3;
const CHECKSUM_BYTES = 4;
const PAYLOAD_OFFSET = CHECKSUM_OFFSET + CHECKSUM_BYTES;
const CHECKSUM_CONTEXT = utf8("anonnet v1 invite line");
const ZERO = new Uint8Array(1);

/** Most bytes of body and signature in a line. */
export const MAX_PAYLOAD_BYTES =
  Math.floor((MAX_LINE_CHARACTERS - SCHEME.length) * 3 / 4) - PAYLOAD_OFFSET;

/** Whether a text is meant as an invite, and not as an address or the name of a file. */
export function isInviteLine(text: string): boolean {
  return withoutFolds(text).startsWith(SCHEME);
}

/** The line of a payload. */
export function formatInviteLine(
  crypto: CryptoSuite,
  payload: Uint8Array,
): string {
  const length = Uint8Array.of(payload.length >> 8, payload.length & 0xff);
  const bytes = concat(
    Uint8Array.of(PROTOCOL.version),
    length,
    checksum(crypto, payload),
    payload,
  );
  return SCHEME + base64url(bytes);
}

/**
 * The payload of a line. White space, marks of quoted mail, and quotes or angle
 * brackets around it are taken away first: mail clients add them.
 *
 * @throws {ConfigError} `auth.invite_scheme`, `auth.invite_long`,
 * `auth.invite_character`, `auth.invite_cut`, `auth.invite_version`,
 * `auth.invite_checksum`; the message says what to do.
 */
export function parseInviteLine(crypto: CryptoSuite, text: string): Bytes {
  const line = withoutFolds(text);
  if (!line.startsWith(SCHEME)) {
    throw fail(
      "scheme",
      `it does not begin with ${SCHEME}, so its beginning is missing, or it is ` +
        "something else; copy the whole line",
    );
  }
  if (line.length > MAX_LINE_CHARACTERS) {
    throw fail(
      "long",
      `it has ${line.length} characters, and an invite has at most ` +
        `${MAX_LINE_CHARACTERS}; copy the one line alone`,
    );
  }
  const encoded = line.slice(SCHEME.length);
  const [stranger] = /[^A-Za-z0-9_-]/u.exec(encoded) ?? [];
  if (stranger !== undefined) {
    throw fail(
      "character",
      `"${stranger}" belongs in no invite; copy the line once more, as it was made`,
    );
  }
  return payloadOf(crypto, encoded);
}

function payloadOf(crypto: CryptoSuite, encoded: string): Bytes {
  // A single character left over holds no byte: what it was part of is missing.
  const whole = encoded.length % 4 === 1 ? encoded.slice(0, -1) : encoded;
  const bytes = Uint8Array.fromBase64(whole, { alphabet: "base64url" });
  const [version, high, low] = bytes;
  if (version !== undefined && version !== PROTOCOL.version) {
    throw fail(
      "version",
      `it is for version ${version} of the protocol, and this program speaks ` +
        `version ${PROTOCOL.version}; use a program of that version, or ask for ` +
        "an invite of this one",
    );
  }
  if (high === undefined || low === undefined) throw cut(encoded.length);
  const length = high << 8 | low;
  const expected = Math.ceil((PAYLOAD_OFFSET + length) * 4 / 3);
  if (expected > MAX_LINE_CHARACTERS - SCHEME.length) throw edited();
  if (encoded.length < expected) throw cut(encoded.length, expected);
  if (encoded.length > expected) {
    throw fail(
      "long",
      `${
        encoded.length - expected
      } characters stand behind its end; copy the ` +
        "one line alone",
    );
  }
  const payload = bytes.slice(PAYLOAD_OFFSET);
  const sum = bytes.subarray(CHECKSUM_OFFSET, PAYLOAD_OFFSET);
  const isWhole = payload.length === length &&
    base64url(bytes) === encoded &&
    equalBytes(sum, checksum(crypto, payload));
  if (!isWhole) throw edited();
  return payload;
}

/** What may stand behind a line, and is no part of it. */
const ENDS: ReadonlySet<string> = new Set(">\"'`)].,;");

/** The line as it was made, whatever mail clients and chats put around it. */
function withoutFolds(text: string): string {
  const line = text
    .replace(/^[\s>]+/gm, "")
    .replaceAll(/[\s\u200b\u2060\ufeff]+/g, "")
    .replace(/^[<"'`(\[]+/, "");
  // By hand: an expression that ends with `$` tries anew at each mark inside, which took
  // 17 s for a text of 80,000 quotation marks.
  let end = line.length;
  while (end > 0 && ENDS.has(line.charAt(end - 1))) end--;
  return line.slice(0, end);
}

function checksum(crypto: CryptoSuite, payload: Uint8Array): Bytes {
  return crypto.sha256(CHECKSUM_CONTEXT, ZERO, payload)
    .slice(0, CHECKSUM_BYTES);
}

function base64url(bytes: Uint8Array): string {
  return bytes.toBase64({ alphabet: "base64url", omitPadding: true });
}

function cut(found: number, expected?: number): ConfigError {
  const missing = expected === undefined
    ? "most of it is missing"
    : `the last ${expected - found} of its ${expected} characters are missing`;
  return fail("cut", `it was cut short, and ${missing}; copy the whole line`);
}

function edited(): ConfigError {
  return fail(
    "checksum",
    "a part in the middle is missing, or characters were changed on the way; copy " +
      "it once more, as it was made",
  );
}

function fail(kind: string, why: string): ConfigError {
  return new ConfigError(
    `auth.invite_${kind}`,
    `Cannot read the invite: ${why}`,
  );
}
