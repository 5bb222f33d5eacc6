/**
 * Ed25519 in plain integers, written from RFC 8032 §5.1 and nothing else: slow,
 * and a stranger to the code under test.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc8032#section-5.1 | RFC 8032 §5.1}
 * @module
 */
import { createHash } from "node:crypto";

/** The field's order, 2²⁵⁵ − 19. */
export const P = 2n ** 255n - 19n;
/** The order of the base point. */
export const L = 2n ** 252n + 27742317777372353535851937790883648493n;

const D = mod(-121665n * inverse(121666n));
const SQRT_MINUS_1 = power(2n, (P - 1n) / 4n);

/** A point by its coordinates. */
export interface Point {
  readonly x: bigint;
  readonly y: bigint;
}

/** The neutral element. */
export const NEUTRAL: Point = { x: 0n, y: 1n };

/** The base point: y = 4/5, x even. */
export const BASE: Point = (() => {
  const y = mod(4n * inverse(5n));
  return { x: recoverX(y, 0n), y };
})();

function mod(value: bigint): bigint {
  const rest = value % P;
  return rest < 0n ? rest + P : rest;
}

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  let square = mod(base);
  for (let left = exponent; left > 0n; left >>= 1n) {
    if (left & 1n) result = mod(result * square);
    square = mod(square * square);
  }
  return result;
}

function inverse(value: bigint): bigint {
  return power(value, P - 2n);
}

function recoverX(y: bigint, sign: bigint): bigint {
  const x2 = mod((y * y - 1n) * inverse(D * y * y + 1n));
  let x = power(x2, (P + 3n) / 8n);
  if (mod(x * x - x2) !== 0n) x = mod(x * SQRT_MINUS_1);
  if (mod(x * x - x2) !== 0n) throw new Error("no such point");
  return (x & 1n) === sign ? x : mod(-x);
}

/** Sum of two points, by the affine formulas of §5.1. */
export function add(a: Point, b: Point): Point {
  const product = mod(D * a.x * b.x * a.y * b.y);
  return {
    x: mod((a.x * b.y + b.x * a.y) * inverse(1n + product)),
    y: mod((a.y * b.y + a.x * b.x) * inverse(1n - product)),
  };
}

/** `scalar` times a point. */
export function multiply(point: Point, scalar: bigint): Point {
  let result = NEUTRAL;
  let doubled = point;
  for (let left = scalar; left > 0n; left >>= 1n) {
    if (left & 1n) result = add(result, doubled);
    doubled = add(doubled, doubled);
  }
  return result;
}

/** Little-endian bytes as an integer. */
export function toInteger(bytes: Uint8Array): bigint {
  let value = 0n;
  for (let i = bytes.length - 1; i >= 0; i--) {
    value = (value << 8n) | BigInt(bytes[i] ?? 0);
  }
  return value;
}

/** An integer as 32 little-endian bytes. */
export function toBytes(value: bigint): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(
    { length: 32 },
    (_, index) => Number((value >> BigInt(8 * index)) & 0xffn),
  );
}

/** A point as y and the sign of x. */
export function encodePoint(point: Point): Uint8Array<ArrayBuffer> {
  return toBytes(point.y | ((point.x & 1n) << 255n));
}

/** The point that 32 bytes stand for. */
export function decodePoint(bytes: Uint8Array): Point {
  const value = toInteger(bytes);
  const y = value & (2n ** 255n - 1n);
  return { x: recoverX(y, value >> 255n), y };
}

/** Bits cleared and set as §5.1.5 says. */
export function clamp(bytes: Uint8Array): bigint {
  const value = toInteger(bytes) & (2n ** 254n - 8n);
  return value | 2n ** 254n;
}

/** SHA-512 of the parts. */
export function sha512(...parts: Uint8Array[]): Uint8Array {
  const hash = createHash("sha512");
  for (const part of parts) hash.update(part);
  return hash.digest();
}

/** [S]B = R + [k]A. */
export function verifies(
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  const encodedR = signature.slice(0, 32);
  const s = toInteger(signature.slice(32));
  const k = toInteger(sha512(encodedR, publicKey, message)) % L;
  const right = add(
    decodePoint(encodedR),
    multiply(decodePoint(publicKey), k),
  );
  const left = multiply(BASE, s);
  return s < L && left.x === right.x && left.y === right.y;
}
