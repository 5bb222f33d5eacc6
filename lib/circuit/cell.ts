/**
 * Cells, the one size in which a circuit moves bytes, trains of them, and the
 * payload inside.
 *
 *     cell on a link      size   ciphertext                       tag
 *                         1      N − 17                           16
 *     cell at its end     size   gap   head         payload
 *                         1      16    112          P = N − 129
 *     payload             command   length   body       zeros
 *                         1         2        length     P − 3 − length
 *
 * A train is the same with 4 · N in the place of N: what a busy circuit has waiting
 * is sealed at once, since a call of the cipher costs more than the bytes. Its size,
 * in cells, stands in front of each; it never changes on the way, and a hop that is
 * given another refuses the tag.
 *
 * Client and relays seal and open a cell in place, and the payload always
 * stands at {@linkcode PAYLOAD_OFFSET}: the layers grow and shrink in front of
 * it. Padding is zero because every byte of a cell is encrypted at least once:
 * random padding would hide nothing more, cost randomness by the kilobyte, and
 * be a channel that no relay can check.
 *
 * The first cell each way on a stream is no onion cell: a handshake message
 * and zeros ({@linkcode encodeFirstCell}).
 *
 * @see protocol §5.1 "Cells"
 * @module
 */
import type { Bytes } from "../base/bytes.ts";
import { TAG_BYTES } from "../crypto/suite.ts";

/** Protocol: bytes of a cell. Why so many: docs/decisions/0013. */
export const CELL_BYTES = 4096;
/** Protocol: cells that are sealed at once where so much waits. Why so many: docs/decisions/0053. */
export const TRAIN_CELLS = 4;
/** Bytes of a train. */
export const TRAIN_BYTES: number = TRAIN_CELLS * CELL_BYTES;
/** Protocol: bytes in front of a cell or train that say its size. */
export const SIZE_BYTES = 1;
/** Protocol: most hops of a circuit. The arithmetic of the head enforces it. */
export const MAX_HOPS = 8;
/** Protocol: bytes of filler that each forwarding hop adds in front. */
export const FILLER_BYTES: number = TAG_BYTES;
/** Protocol: bytes in front of the payload that filler may come to occupy. */
export const HEAD_BYTES: number = FILLER_BYTES * (MAX_HOPS - 1);
/** Where the head begins in a cell that has reached its end. */
export const HEAD_OFFSET: number = SIZE_BYTES + TAG_BYTES;
/** Where the payload begins in a cell that has reached its end. */
export const PAYLOAD_OFFSET: number = HEAD_OFFSET + HEAD_BYTES;
/** Protocol: bytes of command and length. */
const PAYLOAD_HEADER_BYTES = 3;
/** Where the body begins in a cell that has reached its end. */
export const BODY_OFFSET: number = PAYLOAD_OFFSET + PAYLOAD_HEADER_BYTES;

/** Protocol: what a payload is. */
export const COMMAND = {
  /** Bytes of the control stream. */
  control: 1,
  /** One cell of a session, opaque here. */
  data: 2,
  /** Nothing. Only where negotiated, and version 1 negotiates it nowhere. */
  padding: 3,
} as const;

/** A command that we know. */
export type Command = typeof COMMAND[keyof typeof COMMAND];

/** Most bytes in the body of one cell's payload: what a session cell fills. */
export const BODY_BYTES: number = CELL_BYTES - BODY_OFFSET;

/**
 * Bytes of the cell or train that begins at `at`. One with a size that there is not
 * counts as a cell, which {@linkcode isSized} refuses.
 */
export function unitBytes(bytes: Uint8Array, at: number): number {
  return bytes[at] === TRAIN_CELLS ? TRAIN_BYTES : CELL_BYTES;
}

/** Whether a cell or train says its own size. */
export function isSized(unit: Uint8Array): boolean {
  return unit[0] === 1 && unit.length === CELL_BYTES ||
    unit[0] === TRAIN_CELLS && unit.length === TRAIN_BYTES;
}

/** Write the size of a cell or train in front of it. */
export function writeSize(unit: Uint8Array): void {
  unit[0] = unit.length / CELL_BYTES;
}

/**
 * Put a payload into a cell or train that starts its way.
 *
 * @param body At most `cell.length − 132` bytes; may already lie in its place.
 * @throws {RangeError} when it is longer.
 */
export function encodePayload(
  cell: Uint8Array,
  command: Command,
  body: Uint8Array,
): void {
  const end = BODY_OFFSET + body.length;
  if (end > cell.length) {
    throw new RangeError(`Cannot encode payload: a body of ${body.length}`);
  }
  cell.set(body, BODY_OFFSET);
  cell.fill(0, end);
  cell[PAYLOAD_OFFSET] = command;
  cell[PAYLOAD_OFFSET + 1] = body.length >> 8;
  cell[PAYLOAD_OFFSET + 2] = body.length;
}

/** A payload that has arrived. */
export interface Payload {
  /** What it is. */
  readonly command: Command;
  /** A view into the cell or train. */
  readonly body: Uint8Array;
}

/**
 * Read the payload of a cell or train that has reached its end.
 *
 * @returns `undefined` for an unknown command, a length beyond the cell, or
 * padding that is not zero.
 */
export function decodePayload(cell: Uint8Array): Payload | undefined {
  const command = asCommand(cell[PAYLOAD_OFFSET]);
  const length = ((cell[PAYLOAD_OFFSET + 1] ?? 0) << 8) |
    (cell[PAYLOAD_OFFSET + 2] ?? 0);
  const end = BODY_OFFSET + length;
  if (command === undefined || end > cell.length) return undefined;
  if (!isZero(cell, end, cell.length)) return undefined;
  return { command, body: cell.subarray(BODY_OFFSET, end) };
}

function asCommand(byte: number | undefined): Command | undefined {
  switch (byte) {
    case COMMAND.control:
    case COMMAND.data:
    case COMMAND.padding:
      return byte;
    default:
      return undefined;
  }
}

/** Whether `cell[start..end)` is all zero. */
export function isZero(cell: Uint8Array, start: number, end: number): boolean {
  let sum = 0;
  for (let i = start; i < end; i++) sum |= cell[i] ?? 0;
  return sum === 0;
}

/** The first cell of a stream: a handshake message and zeros. */
export function encodeFirstCell(message: Uint8Array): Bytes {
  const cell = new Uint8Array(CELL_BYTES);
  writeSize(cell);
  cell.set(message, SIZE_BYTES);
  return cell;
}

/**
 * The handshake message of a stream's first cell, copied.
 *
 * @returns `undefined` unless zeros alone follow its `messageBytes`: a peer may
 * say no more there than the protocol does.
 */
export function decodeFirstCell(
  cell: Uint8Array,
  messageBytes: number,
): Bytes | undefined {
  const end = SIZE_BYTES + messageBytes;
  if (!isSized(cell) || cell.length !== CELL_BYTES) return undefined;
  if (!isZero(cell, end, CELL_BYTES)) return undefined;
  return new Uint8Array(cell.subarray(SIZE_BYTES, end));
}
