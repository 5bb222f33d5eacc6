/**
 * Mutations of a CBOR message that keep it CBOR: what checks of the encoding would
 * stop, were it broken, comes to what reads the fields. The library encodes here
 * what our own encoder refuses: fractions, large integers, `undefined`.
 *
 * @module
 */
import { decode, encode } from "cborg";
import type { Bytes } from "../../lib/base/bytes.ts";
import type { Dice } from "./dice.ts";

/** Any value that the library reads. */
type Tree =
  | null
  | undefined
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | Tree[]
  | Map<Tree, Tree>;

const NUMBERS: readonly Tree[] = [
  ...[0, 1, -1, 2, 16, 20, 23, 24, 255, 256, 65_535, 65_536],
  ...[2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 48, 2 ** 53 - 1, -(2 ** 53 - 1)],
  ...[2n ** 53n, 2n ** 64n - 1n, -(2n ** 63n), 0.5, NaN, Infinity, 1e300],
];

/** Lengths of byte strings that some field has. */
const LENGTHS = [0, 1, 4, 8, 16, 20, 31, 32, 33, 63, 64, 65, 1024, 1025, 1152];

/** One mutation inside a message; `undefined` where it is no CBOR. */
export function mutateCbor(bytes: Bytes, dice: Dice): Bytes | undefined {
  const tree = decodeTree(bytes);
  if (tree === undefined || tree === null || typeof tree !== "object") {
    return undefined;
  }
  try {
    return new Uint8Array(encode(mutateTree(tree, dice)));
  } catch {
    return undefined; // such as two keys that became one
  }
}

function decodeTree(bytes: Uint8Array): Tree {
  try {
    return decode(bytes, { useMaps: true, allowBigInt: true });
  } catch {
    return undefined;
  }
}

/** Mutate one node of a tree, at any depth. */
function mutateTree(tree: Tree, dice: Dice): Tree {
  if (tree instanceof Map) return mutateMap(tree, dice);
  if (Array.isArray(tree)) return mutateArray(tree, dice);
  if (tree instanceof Uint8Array) return mutateString(tree, dice);
  if (dice.onceIn(3)) return anyValue(dice);
  if (typeof tree === "number") {
    return dice.onceIn(2) ? dice.pick(NUMBERS) : tree + dice.below(5) - 2;
  }
  if (typeof tree === "string") return mutateText(tree, dice);
  return anyValue(dice);
}

function mutateMap(map: ReadonlyMap<Tree, Tree>, dice: Dice): Tree {
  if (dice.onceIn(24)) return anyValue(dice);
  const entries = [...map];
  const at = dice.below(entries.length);
  const [key, value] = entries[at] ?? ["", null];
  switch (dice.below(8)) {
    case 0:
      entries.splice(at, 1);
      break;
    case 1:
      entries.push([`x${dice.below(100)}`, anyValue(dice)]);
      break;
    case 2: {
      const other = dice.pick(entries.length > 0 ? entries : [["", null]]);
      entries[at] = [key, other[1] ?? null];
      break;
    }
    case 3:
      entries[at] = [mutateKey(key, dice), value];
      break;
    default:
      entries[at] = [key, mutateTree(value, dice)];
  }
  return new Map(entries);
}

/** Another text, or a number: the library sorts no others. */
function mutateKey(key: Tree, dice: Dice): Tree {
  if (typeof key !== "string" || dice.onceIn(6)) return dice.below(1000);
  return mutateText(key, dice);
}

function mutateArray(array: readonly Tree[], dice: Dice): Tree {
  if (dice.onceIn(24)) return anyValue(dice);
  const items = [...array];
  const at = dice.below(items.length);
  switch (dice.below(5)) {
    case 0:
      items.splice(at, 1);
      break;
    case 1: {
      const times = dice.onceIn(6) ? dice.below(600) : 1 + dice.below(3);
      items.push(...new Array<Tree>(times).fill(items[at] ?? null));
      break;
    }
    case 2:
      items.reverse();
      break;
    default:
      items[at] = mutateTree(items[at], dice);
  }
  return items;
}

/** Byte strings often hold a message again: a signed body, a record. */
function mutateString(bytes: Uint8Array, dice: Dice): Tree {
  if (dice.onceIn(24)) return anyValue(dice);
  const inner = dice.onceIn(4) ? undefined : mutateCbor(bytes.slice(), dice);
  if (inner !== undefined) return inner;
  switch (dice.below(5)) {
    case 0:
      return resized(bytes, dice.pick(LENGTHS));
    case 1:
      return resized(bytes, Math.max(0, bytes.length + dice.below(3) - 1));
    case 2:
      return resized(bytes, 2 * bytes.length);
    default: {
      const changed = bytes.slice();
      const at = dice.below(changed.length);
      changed[at] = (changed[at] ?? 0) ^ (1 << dice.below(8));
      return changed;
    }
  }
}

function mutateText(text: string, dice: Dice): Tree {
  switch (dice.below(4)) {
    case 0:
      return text.slice(0, dice.below(text.length));
    case 1:
      return text +
        dice.pick(["\0", "é", "\u{10ffff}", "K", " ", "x".repeat(40)]);
    case 2:
      return text.toUpperCase();
    default:
      return dice.pick([
        "",
        "__proto__",
        "constructor",
        "hello",
        "close",
        "ping",
      ]);
  }
}

function anyValue(dice: Dice): Tree {
  switch (dice.below(9)) {
    case 0:
      return null;
    case 1:
      return dice.onceIn(2);
    case 2:
      return undefined;
    case 3:
      return "";
    case 4:
      return new Uint8Array(dice.pick(LENGTHS));
    case 5:
      return [];
    case 6:
      return new Map<Tree, Tree>();
    case 7:
      return nested(1 + dice.below(40));
    default:
      return dice.pick(NUMBERS);
  }
}

function nested(depth: number): Tree {
  let tree: Tree = [];
  for (let i = 0; i < depth; i++) tree = [tree];
  return tree;
}

function resized(bytes: Uint8Array, length: number): Uint8Array {
  const changed = new Uint8Array(length);
  changed.set(bytes.subarray(0, length));
  return changed;
}
