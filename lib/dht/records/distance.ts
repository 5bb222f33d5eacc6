/**
 * The XOR metric, and orders by it. Places of nodes and record keys are points of one
 * space of 256 bits:
 *
 *     distance(a, b) = a ⊕ b, read as an unsigned big-endian integer
 *     bucket(a, b)   = leading bits that a and b share       0 (far half) to 255
 *
 * For a target there is exactly one point at each distance, so an order by
 * distance has no ties.
 *
 * @see protocol §4.1 "Points and distances", Maymounkov and Mazières, "Kademlia" (2002) §2.1
 * @module
 */
import type { Place } from "../../auth/proof_of_work.ts";
import type { Bytes } from "../../base/bytes.ts";
import type { Random } from "../../base/random.ts";

/** Where a record is kept: a point in the same space as places of nodes, 32 bytes. */
export type DhtKey = Bytes & { readonly brand?: "DhtKey" };

/** Bytes of a point. */
export const POINT_BYTES = 32;

/** Bits of a point, and so the number of buckets. */
const POINT_BITS = 8 * POINT_BYTES;

/** Negative when `a` is the closer to `target`, positive when `b` is, 0 when they are one. */
export function compareDistance(
  target: Uint8Array,
  a: Uint8Array,
  b: Uint8Array,
): number {
  for (let i = 0; i < POINT_BYTES; i++) {
    const byte = target[i] as number;
    const difference = ((a[i] as number) ^ byte) - ((b[i] as number) ^ byte);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Leading bits that two points share: 0 to 256, which is one point. */
export function sharedPrefixBits(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < POINT_BYTES; i++) {
    const difference = (a[i] as number) ^ (b[i] as number);
    if (difference !== 0) return 8 * i + Math.clz32(difference) - 24;
  }
  return POINT_BITS;
}

/**
 * The leading 48 bits of a distance as a number: orders points by distance, but
 * for ties that only a search for them produces.
 */
export function leadingDistance(a: Uint8Array, b: Uint8Array): number {
  let value = 0;
  for (let i = 0; i < 6; i++) {
    value = value * 256 + ((a[i] as number) ^ (b[i] as number));
  }
  return value;
}

/**
 * The `count` of `items` closest to `target`, closest first. The array given is
 * left as it is.
 */
export function closestTo<T>(
  target: Uint8Array,
  items: readonly T[],
  count: number,
  pointOf: (item: T) => Uint8Array,
): T[] {
  return [...items]
    .sort((a, b) => compareDistance(target, pointOf(a), pointOf(b)))
    .slice(0, count);
}

/** A point as a key of a `Map`: one character per byte. */
export function pointKey(point: Uint8Array): string {
  // Spreading would walk an iterator: three times slower, on every answer's path.
  return Reflect.apply(String.fromCharCode, undefined, point);
}

/** A random point that shares exactly `bucket` leading bits with `self`. */
export function randomPointIn(
  random: Random,
  self: Place,
  bucket: number,
): Place {
  if (!Number.isInteger(bucket) || bucket < 0 || bucket >= POINT_BITS) {
    throw new RangeError(`Cannot draw a point in bucket ${bucket}`);
  }
  const point = random.bytes(POINT_BYTES);
  const byte = bucket >> 3;
  point.set(self.subarray(0, byte));
  const bit = 0x80 >> (bucket & 7);
  const kept = 0xff & ~(2 * bit - 1); // The bits above the one that differs.
  const own = self[byte] as number;
  point[byte] = (own & kept) | (~own & bit) |
    ((point[byte] as number) & (bit - 1));
  return point;
}
