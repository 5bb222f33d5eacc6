/**
 * New inputs out of old ones: of the messages, of their order, and of the time
 * between them.
 *
 * @module
 */
import { type Bytes, concat } from "../../lib/base/bytes.ts";
import { mutateBytes } from "./byte_mutation.ts";
import { mutateCbor } from "./cbor_mutation.ts";
import type { Dice } from "./dice.ts";
import { type FuzzInput, STEP_HEADER_BYTES } from "./fuzz_target.ts";

/** Messages of one input at most. */
const MAX_MESSAGES = 400;
/** A message is said again up to so many times in a row. */
const MAX_REPEATS = 120;

/** A mutation of one of `inputs`, with parts of the others. */
export function mutateInput(
  inputs: readonly FuzzInput[],
  hasSteps: boolean,
  dice: Dice,
): FuzzInput {
  let messages = [...dice.pick(inputs)];
  const count = dice.onceIn(3) ? 1 + dice.below(6) : 1;
  for (let i = 0; i < count; i++) {
    const other = dice.pick(inputs);
    messages = hasSteps && dice.onceIn(3)
      ? mutateOrder(messages, other, dice)
      : mutateOne(messages, other, hasSteps, dice);
  }
  return messages.slice(0, MAX_MESSAGES);
}

/** Drop, repeat, swap, move or mix whole messages. */
function mutateOrder(
  messages: readonly Bytes[],
  other: FuzzInput,
  dice: Dice,
): Bytes[] {
  const mixed = [...messages];
  const at = dice.below(mixed.length);
  const message = mixed[at] ?? new Uint8Array(STEP_HEADER_BYTES);
  switch (dice.below(7)) {
    case 0:
      mixed.splice(at, 1);
      break;
    case 1: {
      const times = dice.onceIn(4) ? dice.below(MAX_REPEATS) : 1;
      mixed.splice(at, 0, ...new Array<Bytes>(times).fill(message));
      break;
    }
    case 2: {
      const to = dice.below(mixed.length);
      mixed[at] = mixed[to] ?? message;
      mixed[to] = message;
      break;
    }
    case 3:
      mixed.splice(at);
      break;
    case 4:
      mixed.splice(at, 0, ...other.slice(dice.below(other.length)));
      break;
    case 5:
      if (other.length > 0) mixed.splice(at, 0, dice.pick(other));
      break;
    default:
      mixed.splice(dice.below(mixed.length), 0, message);
      mixed.splice(at, 1);
  }
  return mixed;
}

function mutateOne(
  messages: readonly Bytes[],
  other: FuzzInput,
  hasSteps: boolean,
  dice: Dice,
): Bytes[] {
  const mutated = [...messages];
  const at = dice.below(mutated.length);
  const message = mutated[at] ?? new Uint8Array(0);
  const headerBytes = hasSteps ? STEP_HEADER_BYTES : 0;
  if (hasSteps && dice.onceIn(8)) {
    mutated[at] = mutateHeader(message, dice);
    return mutated;
  }
  const source = other.length > 0 ? dice.pick(other) : message;
  const body = mutateBody(
    message.slice(headerBytes),
    source.slice(headerBytes),
    dice,
  );
  mutated[at] = concat(message.subarray(0, headerBytes), body);
  return mutated;
}

function mutateHeader(message: Bytes, dice: Dice): Bytes {
  const changed = new Uint8Array(message);
  if (dice.onceIn(3)) changed[0] = dice.below(256);
  else {
    changed[1] = dice.pick([0, 1, 3, 39, 117, 0xf0]);
    changed[2] = dice.below(256);
  }
  return changed;
}

/** As CBOR where it is that, alone or behind the length of a frame; as bytes otherwise. */
function mutateBody(body: Bytes, other: Bytes, dice: Dice): Bytes {
  if (dice.onceIn(3)) return mutateBytes(body, dice, other);
  const whole = mutateCbor(body, dice);
  if (whole !== undefined) return whole;
  const framed = mutateFrame(body, dice);
  return framed ?? mutateBytes(body, dice, other);
}

/** A frame whose body changed, and whose length fits again; behind one byte or none. */
function mutateFrame(body: Bytes, dice: Dice): Bytes | undefined {
  for (const start of [0, 1, 3]) {
    const frame = body.subarray(start);
    if (frame.length < 5) continue;
    const length = new DataView(frame.buffer, frame.byteOffset).getUint32(0);
    if (length === 0 || length > frame.length - 4) continue;
    const inner = mutateCbor(frame.slice(4, 4 + length), dice);
    if (inner === undefined) continue;
    const head = new Uint8Array(4);
    new DataView(head.buffer).setUint32(0, inner.length);
    return concat(
      body.subarray(0, start),
      head,
      inner,
      frame.subarray(4 + length),
    );
  }
  return undefined;
}
