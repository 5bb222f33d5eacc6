/**
 * As much of a WebAssembly assembler as our two kernels need: expressions become
 * bytes, functions become a module that has one memory.
 *
 *     set(x, i32x4.add(get(x), get(y)))   20 x  20 y  fd ae 01  21 x
 *
 * Locals are numbers: parameters first, then what `locals` declares, in order.
 *
 * @see {@link https://webassembly.github.io/spec/core/binary/ | Binary format}
 * @module
 */
import type { Bytes } from "../base/bytes.ts";

/** Instructions, as they stand in a module. */
export type Code = readonly number[];

/** Types of locals. */
export const TYPE = { i32: 0x7f, i64: 0x7e, v128: 0x7b } as const;

/** A function; it takes i32 and gives nothing. */
export interface AssemblyFunction {
  /** What it is exported as. */
  readonly name: string;
  readonly parameters: number;
  /** How many locals of which type follow the parameters. */
  readonly locals: readonly (readonly [
    count: number,
    type: typeof TYPE[keyof typeof TYPE],
  ])[];
  readonly code: Code;
}

const BLOCK_END = 0x0b;
const NO_RESULT = 0x40;

/** The value of a local. */
export function get(local: number): Code {
  return [0x20, ...unsigned(local)];
}

/** Give a local a value. */
export function set(local: number, value: Code): Code {
  return [...value, 0x21, ...unsigned(local)];
}

/** Do `body`, count `local` down by one, and again until it is 0; at least once. */
export function repeat(local: number, body: Code): Code {
  const left = i32.sub(get(local), i32.constant(1));
  const isMore = [...set(local, left), ...get(local), 0x0d, 0];
  return [0x03, NO_RESULT, ...body, ...isMore, BLOCK_END];
}

/** Numbers of 32 bits. */
export const i32 = {
  constant: (value: number): Code => [0x41, ...signed(BigInt(value))],
  add: binary(0x6a),
  sub: binary(0x6b),
};

/** Numbers of 64 bits. */
export const i64 = {
  constant: (value: bigint): Code => [0x42, ...signed(value)],
  add: binary(0x7c),
  sub: binary(0x7d),
  mul: binary(0x7e),
  and: binary(0x83),
  or: binary(0x84),
  xor: binary(0x85),
  shiftRight: binary(0x88),
  /** Four bytes of memory, little-endian. */
  load32: (address: Code, offset: number): Code => [
    ...address,
    ...[0x35, 0, ...unsigned(offset)],
  ],
  /** The low four bytes. */
  store32: (address: Code, offset: number, value: Code): Code => [
    ...address,
    ...value,
    ...[0x3e, 0, ...unsigned(offset)],
  ],
};

/** Vectors of four numbers of 32 bits. */
export const i32x4 = {
  constant: (values: readonly number[]): Code => [
    ...vector(12),
    ...new Uint8Array(Uint32Array.from(values).buffer),
  ],
  /** The same number four times. */
  splat: (value: Code): Code => [...value, ...vector(17)],
  /** The same number four times, out of memory. */
  splatLoad: (address: Code, offset: number): Code => [
    ...address,
    ...vector(9),
    ...[0, ...unsigned(offset)],
  ],
  load: (address: Code, offset: number): Code => [
    ...address,
    ...vector(0),
    ...[0, ...unsigned(offset)],
  ],
  store: (address: Code, offset: number, value: Code): Code => [
    ...address,
    ...value,
    ...vector(11),
    ...[0, ...unsigned(offset)],
  ],
  add: binary(...vector(174)),
  xor: binary(...vector(81)),
  or: binary(...vector(80)),
  shiftLeft: (value: Code, bits: number): Code => [
    ...value,
    ...i32.constant(bits),
    ...vector(171),
  ],
  shiftRight: (value: Code, bits: number): Code => [
    ...value,
    ...i32.constant(bits),
    ...vector(173),
  ],
  /** Bytes of `a` (0 to 15) and `b` (16 to 31), by their numbers. */
  shuffleBytes: (a: Code, b: Code, bytes: readonly number[]): Code => [
    ...a,
    ...b,
    ...vector(13),
    ...bytes,
  ],
  /** Numbers of `a` (0 to 3) and `b` (4 to 7), by their places. */
  shuffle: (a: Code, b: Code, places: readonly number[]): Code =>
    i32x4.shuffleBytes(
      a,
      b,
      places.flatMap((place) => [0, 1, 2, 3].map((byte) => 4 * place + byte)),
    ),
};

/**
 * A module of these functions.
 *
 * @param memoryPages Of 64 KiB, exported as `memory`.
 */
export function assemble(
  functions: readonly AssemblyFunction[],
  memoryPages: number,
): Bytes {
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0], // "\0asm", version 1
    ...section(1, functions.map(typeOf)),
    ...section(3, functions.map((_, index) => [index])),
    ...section(5, [[1, memoryPages, memoryPages]]),
    ...section(7, [
      [...text("memory"), 2, 0],
      ...functions.map(({ name }, index) => [...text(name), 0, index]),
    ]),
    ...section(10, functions.map(bodyOf)),
  ]);
}

function typeOf({ parameters }: AssemblyFunction): Code {
  return [0x60, parameters, ...Array(parameters).fill(TYPE.i32), 0];
}

function bodyOf({ locals, code }: AssemblyFunction): Code {
  const declared = locals.flatMap(([count, type]) => [count, type]);
  const body = [locals.length, ...declared, ...code, BLOCK_END];
  return [...unsigned(body.length), ...body];
}

function section(id: number, items: readonly Code[]): Code {
  const body = [...unsigned(items.length), ...items.flat()];
  return [id, ...unsigned(body.length), ...body];
}

function text(value: string): Code {
  return [value.length, ...new TextEncoder().encode(value)];
}

function binary(...opcode: readonly number[]): (a: Code, b: Code) => Code {
  return (a, b) => [...a, ...b, ...opcode];
}

function vector(opcode: number): Code {
  return [0xfd, ...unsigned(opcode)];
}

/** LEB128. */
function unsigned(value: number): Code {
  const low = value & 0x7f;
  return value < 0x80 ? [low] : [low | 0x80, ...unsigned(value >>> 7)];
}

/** Signed LEB128. */
function signed(value: bigint): Code {
  const low = Number(value & 0x7fn);
  const rest = value >> 7n;
  const isAll = rest === ((low & 0x40) === 0 ? 0n : -1n);
  return isAll ? [low] : [low | 0x80, ...signed(rest)];
}
