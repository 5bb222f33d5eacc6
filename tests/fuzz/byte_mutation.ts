/**
 * Mutations of a message that know nothing of what it means.
 *
 * @module
 */
import { type Bytes, concat } from "../../lib/base/bytes.ts";
import type { Dice } from "./dice.ts";

/** Longest message that mutation makes: a little more than the longest that any machine takes. */
export const MAX_MESSAGE_BYTES = 72 * 1024;

/** Bytes that end, begin or mean something in one format or another. */
const TELLING = [
  ...[0x00, 0x01, 0x17, 0x18, 0x1b, 0x1f, 0x20, 0x40, 0x5f, 0x60, 0x7f, 0x80],
  ...[0x9b, 0x9f, 0xa0, 0xbb, 0xbf, 0xc0, 0xf4, 0xf6, 0xf7, 0xf9, 0xfb, 0xff],
  ...[0x09, 0x0a, 0x0d, 0x20, 0x22, 0x25, 0x2c, 0x2e, 0x2f, 0x3a, 0x3b, 0x5b],
];

/** Lengths and counts at the edges of their fields. */
const EDGES = [0, 1, 0x7f, 0x80, 0xff, 0x100, 0x7fff, 0x8000, 0xffff, 2 ** 32];

type Mutation = (bytes: Bytes, dice: Dice, other: Bytes) => Bytes;

const MUTATIONS: readonly Mutation[] = [
  flipBit,
  flipBit,
  setByte,
  setByte,
  writeLength,
  writeLength,
  cut,
  remove,
  repeat,
  insert,
  splice,
  addOne,
  pad,
];

/** One mutation of a message. @param other A message of another run, to take parts of. */
export function mutateBytes(bytes: Bytes, dice: Dice, other: Bytes): Bytes {
  const mutated = dice.pick(MUTATIONS)(bytes, dice, other);
  return mutated.length > MAX_MESSAGE_BYTES
    ? mutated.slice(0, MAX_MESSAGE_BYTES)
    : mutated;
}

function flipBit(bytes: Bytes, dice: Dice): Bytes {
  const changed = new Uint8Array(bytes);
  const at = dice.below(bytes.length);
  changed[at] = (changed[at] ?? 0) ^ (1 << dice.below(8));
  return changed;
}

function setByte(bytes: Bytes, dice: Dice): Bytes {
  const changed = new Uint8Array(bytes);
  changed[dice.below(bytes.length)] = dice.pick(TELLING);
  return changed;
}

function addOne(bytes: Bytes, dice: Dice): Bytes {
  const changed = new Uint8Array(bytes);
  const at = dice.below(bytes.length);
  changed[at] = (changed[at] ?? 0) + (dice.onceIn(2) ? 1 : -1);
  return changed;
}

/** Write over what may be a length: big-endian, of 1 to 6 bytes. */
function writeLength(bytes: Bytes, dice: Dice): Bytes {
  const changed = new Uint8Array(bytes);
  const at = dice.below(bytes.length);
  const width = dice.pick([1, 2, 2, 4, 4, 6]);
  const edge = dice.onceIn(3)
    ? bytes.length + dice.below(5) - 2
    : dice.pick(EDGES) - dice.below(2);
  for (let i = 0; i < width && at + i < changed.length; i++) {
    changed[at + i] = Math.floor(edge / 256 ** (width - 1 - i));
  }
  return changed;
}

function cut(bytes: Bytes, dice: Dice): Bytes {
  return bytes.slice(0, dice.below(bytes.length));
}

function remove(bytes: Bytes, dice: Dice): Bytes {
  const from = dice.below(bytes.length);
  const to = from + 1 + dice.below(Math.min(64, bytes.length - from));
  return concat(bytes.subarray(0, from), bytes.subarray(to));
}

function repeat(bytes: Bytes, dice: Dice): Bytes {
  const from = dice.below(bytes.length);
  const length = 1 + dice.below(Math.min(256, bytes.length - from));
  const part = bytes.subarray(from, from + length);
  const times = dice.onceIn(8) ? dice.below(2000) : 1 + dice.below(4);
  const room = Math.floor(MAX_MESSAGE_BYTES / Math.max(1, part.length));
  const parts = new Array<Uint8Array>(Math.min(times, room)).fill(part);
  return concat(bytes.subarray(0, from), ...parts, bytes.subarray(from));
}

function insert(bytes: Bytes, dice: Dice): Bytes {
  const at = dice.below(bytes.length + 1);
  const fresh = dice.onceIn(2)
    ? dice.bytes(1 + dice.below(16))
    : new Uint8Array(1 + dice.below(16)).fill(dice.pick(TELLING));
  return concat(bytes.subarray(0, at), fresh, bytes.subarray(at));
}

function splice(bytes: Bytes, dice: Dice, other: Bytes): Bytes {
  return concat(
    bytes.subarray(0, dice.below(bytes.length + 1)),
    other.subarray(dice.below(other.length + 1)),
  );
}

/** Far longer than before, of one byte. */
function pad(bytes: Bytes, dice: Dice): Bytes {
  const length = dice.onceIn(8)
    ? dice.below(MAX_MESSAGE_BYTES)
    : dice.below(64);
  return concat(bytes, new Uint8Array(length).fill(dice.pick(TELLING)));
}
