/**
 * What an observer reads in the first packets of a QUIC connection: their keys
 * follow from the connection id that they carry in clear, so they hide nothing.
 *
 *     datagrams ─▶ Initial packets ─▶ CRYPTO frames ─▶ ClientHello ─▶ extensions
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc9001#section-5.2 | RFC 9001 §5.2},
 * {@link https://www.rfc-editor.org/rfc/rfc8446#section-4.1.2 | RFC 8446 §4.1.2}
 * @module
 */
import assert from "node:assert/strict";
import { createCipheriv, createDecipheriv, createHmac } from "node:crypto";
import { Buffer } from "node:buffer";

/** RFC 9001 §5.2. */
const INITIAL_SALT = Uint8Array.fromHex(
  "38762cf7f55934b34d179ae6a4c80cadccbb7f0a",
);
const TAG_BYTES = 16;
const SAMPLE_BYTES = 16;

/** What stands in a ClientHello. */
export interface ClientHello {
  /** The whole message. */
  readonly bytes: Uint8Array;
  /** Contents of its extensions, by type. */
  readonly extensions: ReadonlyMap<number, Uint8Array>;
}

/** Extension types that name something. */
export const SERVER_NAME_EXTENSION = 0;
export const ALPN_EXTENSION = 16;

/** Gathers Initial packets of one connection until its ClientHello is whole. */
export class ClientHelloReader {
  readonly #pieces: { offset: number; data: Uint8Array }[] = [];

  /** A datagram of the dialler's. @returns The ClientHello once it is whole. */
  read(datagram: Uint8Array): ClientHello | undefined {
    this.#pieces.push(...cryptoFrames(decryptInitial(datagram)));
    const bytes = this.#whole();
    return bytes && { bytes, extensions: extensionsOf(bytes) };
  }

  #whole(): Uint8Array | undefined {
    const length = Math.max(
      ...this.#pieces.map(({ offset, data }) => offset + data.length),
    );
    const stream = new Uint8Array(length);
    const isThere = new Uint8Array(length);
    for (const { offset, data } of this.#pieces) {
      stream.set(data, offset);
      isThere.fill(1, offset, offset + data.length);
    }
    if (length < 4 || isThere.subarray(0, 4).includes(0)) return undefined;
    assert.equal(stream[0], 1, "a ClientHello");
    const end = 4 + Number(new Cursor(stream, 1).uint(3));
    if (length < end || isThere.subarray(0, end).includes(0)) return undefined;
    return stream.subarray(0, end);
  }
}

/** The ALPN protocols that a ClientHello offers. */
export function alpnOf({ extensions }: ClientHello): string[] {
  const at = new Cursor(extensions.get(ALPN_EXTENSION) ?? new Uint8Array(2));
  const names: string[] = [];
  for (at.uint(2); !at.isAtEnd;) {
    names.push(Buffer.from(at.bytes(at.uint(1))).toString("latin1"));
  }
  return names;
}

/** Remove header protection and encryption of the Initial packet that begins a datagram. */
function decryptInitial(datagram: Uint8Array): Uint8Array {
  const packet = datagram.slice();
  const header = new Cursor(packet);
  assert.equal(header.uint(1) & 0xf0, 0xc0, "a long header, Initial");
  assert.equal(header.uint(4), 1, "QUIC version 1");
  const destination = header.bytes(header.uint(1));
  header.bytes(header.uint(1));
  header.bytes(header.varint());
  const length = header.varint();
  const numberAt = header.at;

  const initial = hmac(INITIAL_SALT, destination);
  const secret = expandLabel(initial, "client in", 32);
  const cipher = createCipheriv(
    "aes-128-ecb",
    expandLabel(secret, "quic hp", 16),
    null,
  );
  const sampleAt = numberAt + 4;
  const mask = cipher.update(
    packet.subarray(sampleAt, sampleAt + SAMPLE_BYTES),
  );
  cipher.final();
  packet[0] = (packet[0] ?? 0) ^ ((mask[0] ?? 0) & 0x0f);
  const numberBytes = ((packet[0] ?? 0) & 3) + 1;
  const nonce = expandLabel(secret, "quic iv", 12);
  for (let i = 0; i < numberBytes; i++) {
    const byte = (packet[numberAt + i] ?? 0) ^ (mask[1 + i] ?? 0);
    packet[numberAt + i] = byte;
    const place = nonce.length - numberBytes + i;
    nonce[place] = (nonce[place] ?? 0) ^ byte;
  }
  const bodyAt = numberAt + numberBytes;
  const end = numberAt + length;
  const decipher = createDecipheriv(
    "aes-128-gcm",
    expandLabel(secret, "quic key", 16),
    nonce,
  );
  decipher.setAAD(packet.subarray(0, bodyAt));
  decipher.setAuthTag(packet.subarray(end - TAG_BYTES, end));
  const body = decipher.update(packet.subarray(bodyAt, end - TAG_BYTES));
  decipher.final();
  return body;
}

function* cryptoFrames(
  payload: Uint8Array,
): Generator<{ offset: number; data: Uint8Array }> {
  const at = new Cursor(payload);
  while (!at.isAtEnd) {
    const type = at.varint();
    if (type <= 1) continue; // PADDING, PING
    assert.equal(type, 6, "a CRYPTO frame");
    const offset = at.varint();
    yield { offset, data: at.bytes(at.varint()) };
  }
}

function extensionsOf(hello: Uint8Array): Map<number, Uint8Array> {
  const at = new Cursor(hello, 4 + 2 + 32); // header, version, random
  at.bytes(at.uint(1)); // session id
  at.bytes(at.uint(2)); // cipher suites
  at.bytes(at.uint(1)); // compression methods
  const extensions = new Map<number, Uint8Array>();
  for (at.uint(2); !at.isAtEnd;) {
    extensions.set(at.uint(2), at.bytes(at.uint(2)));
  }
  return extensions;
}

function hmac(key: Uint8Array, data: Uint8Array): Uint8Array {
  return createHmac("sha256", key).update(data).digest();
}

/** HKDF-Expand-Label with an empty context; RFC 8446 §7.1. One block suffices. */
function expandLabel(
  secret: Uint8Array,
  label: string,
  length: number,
): Uint8Array {
  const name = `tls13 ${label}`;
  const info = Buffer.concat([
    Uint8Array.of(0, length, name.length),
    Buffer.from(name),
    Uint8Array.of(0, 1),
  ]);
  return Uint8Array.from(hmac(secret, info).subarray(0, length));
}

/** Reads big-endian numbers and bytes one after the other. */
class Cursor {
  at: number;
  readonly #bytes: Uint8Array;

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = bytes;
    this.at = at;
  }

  get isAtEnd(): boolean {
    return this.at >= this.#bytes.length;
  }

  bytes(count: number): Uint8Array {
    assert.ok(this.at + count <= this.#bytes.length, "cut short");
    return this.#bytes.subarray(this.at, this.at += count);
  }

  uint(count: number): number {
    return this.bytes(count).reduce((sum, byte) => 256 * sum + byte, 0);
  }

  /** RFC 9000 §16. */
  varint(): number {
    const first = this.uint(1);
    this.at--;
    const count = 1 << (first >> 6);
    return this.uint(count) - (first >> 6) * 2 ** (8 * count - 2);
  }
}
