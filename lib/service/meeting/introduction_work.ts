/**
 * Work that an introduction point asks for while more want to be introduced than
 * the service can take: the client that pays most is passed on first.
 *
 *     seed   = H("anonnet v1 work seed" ‖ secret of the point ‖ epoch(8) ‖
 *                authentication ‖ circuit binding)
 *     puzzle = H("anonnet v1 work puzzle" ‖ seed ‖ authentication ‖ sealed)
 *     work   = effort(4) ‖ nonce(16):
 *              first 48 bits of H(puzzle ‖ effort ‖ nonce) < 2⁴⁸ / effort
 *
 * An effort of E takes E hashes on average to find and two to check. The seed is
 * of one circuit and lasts for some seconds, and `sealed` holds the client's
 * ephemeral keys: work cannot be done in advance, sold on, or used twice.
 *
 * @see protocol §7.4 "Introduction", docs/decisions/0021-work-for-introductions.md
 * @module
 */
import type { PublicKey } from "../../auth/identity.ts";
import { type Bytes, utf8 } from "../../base/bytes.ts";
import type { Random } from "../../base/random.ts";
import type { CryptoSuite } from "../../crypto/suite.ts";

/** Protocol: bytes of a seed. */
export const WORK_SEED_BYTES = 32;
/** Protocol: bytes of a nonce. */
export const WORK_NONCE_BYTES = 16;
/** Protocol: least effort that counts; less than a millisecond. */
export const LEAST_EFFORT = 256;
/**
 * Protocol: highest effort; some seconds of one core. A point that demands more is
 * not asked again: it may not make clients burn as much as it likes.
 */
export const MAX_EFFORT = 2 ** 22;
/** Protocol: seeds change so often, and the one before still counts, ms. */
export const WORK_EPOCH_MS = 20_000;

const SEED_CONTEXT = utf8("anonnet v1 work seed");
const PUZZLE_CONTEXT = utf8("anonnet v1 work puzzle");
const EFFORT_BYTES = 4;
/** What is compared: the most that a number holds together with its quotient. */
const SPACE = 2 ** 48;

/** What a point wants before it passes on an introduction. */
export interface WorkDemand {
  /** {@linkcode WORK_SEED_BYTES}. */
  readonly seed: Bytes;
  /** Expected hashes, {@linkcode LEAST_EFFORT} to {@linkcode MAX_EFFORT}. */
  readonly effort: number;
}

/** What a client has done for it. */
export interface Work {
  /** Expected hashes. More than was demanded is taken, and counts. */
  readonly effort: number;
  /** {@linkcode WORK_NONCE_BYTES}. */
  readonly nonce: Bytes;
}

/** What is to be passed on. */
export interface WorkSubject {
  readonly authentication: PublicKey;
  readonly sealed: Uint8Array;
}

/** The seeds that one introduction point gives out; nothing is kept of them. */
export class WorkSeeds {
  readonly #crypto: CryptoSuite;
  readonly #secret: Bytes;

  constructor(crypto: CryptoSuite, random: Random) {
    this.#crypto = crypto;
    this.#secret = random.bytes(WORK_SEED_BYTES);
  }

  /** The seed of a circuit now. @param binding Of that circuit (protocol §5.2 "Create"). */
  seed(
    authentication: PublicKey,
    binding: Uint8Array,
    nowMs: number,
  ): Bytes {
    return this.#seed(authentication, binding, epochOf(nowMs));
  }

  /** Whether work was done for this circuit, lately. */
  isDone(
    subject: WorkSubject,
    work: Work,
    binding: Uint8Array,
    nowMs: number,
  ): boolean {
    const epoch = epochOf(nowMs);
    return [epoch, epoch - 1].some((epoch) => {
      const seed = this.#seed(subject.authentication, binding, epoch);
      return isWorkDone(this.#crypto, seed, subject, work);
    });
  }

  #seed(
    authentication: PublicKey,
    binding: Uint8Array,
    epoch: number,
  ): Bytes {
    const number = new Uint8Array(8);
    new DataView(number.buffer).setBigUint64(0, BigInt(Math.max(0, epoch)));
    return this.#crypto.sha256(
      SEED_CONTEXT,
      this.#secret,
      number,
      authentication,
      binding,
    );
  }
}

/** Whether work is right for a seed. */
export function isWorkDone(
  crypto: CryptoSuite,
  seed: Uint8Array,
  subject: WorkSubject,
  { effort, nonce }: Work,
): boolean {
  const isEffort = Number.isInteger(effort) && effort >= LEAST_EFFORT &&
    effort <= MAX_EFFORT;
  if (!isEffort || nonce.length !== WORK_NONCE_BYTES) return false;
  const puzzle = puzzleOf(crypto, seed, subject);
  const head = headOf(crypto.sha256(puzzle, effortBytes(effort), nonce));
  return head < SPACE / effort;
}

/** A search for work, in slices: the client has other things to do meanwhile. */
export class WorkSearch {
  readonly #crypto: CryptoSuite;
  readonly #effort: number;
  readonly #puzzle: Bytes;
  readonly #effortBytes: Bytes;
  readonly #nonce: Bytes;
  #hashes = 0;

  /** @throws {RangeError} for an effort that no point may demand. */
  constructor(
    crypto: CryptoSuite,
    random: Random,
    { seed, effort }: WorkDemand,
    subject: WorkSubject,
  ) {
    if (!(effort >= LEAST_EFFORT && effort <= MAX_EFFORT)) {
      throw new RangeError(`Cannot search for work of effort ${effort}`);
    }
    this.#crypto = crypto;
    this.#effort = effort;
    this.#puzzle = puzzleOf(crypto, seed, subject);
    this.#effortBytes = effortBytes(effort);
    this.#nonce = random.bytes(WORK_NONCE_BYTES);
  }

  /** Hashes computed so far. */
  get hashes(): number {
    return this.#hashes;
  }

  /** Compute at most so many hashes. @returns The work, once found. */
  run(hashes: number): Work | undefined {
    const view = new DataView(this.#nonce.buffer);
    const limit = SPACE / this.#effort;
    for (let n = 0; n < hashes; n++) {
      // From a random beginning, 2⁵³ nonces are never used up.
      view.setUint32(0, this.#hashes & 0xffff_ffff);
      view.setUint32(4, Math.floor(this.#hashes / 2 ** 32));
      this.#hashes++;
      const digest = this.#crypto.sha256(
        this.#puzzle,
        this.#effortBytes,
        this.#nonce,
      );
      if (headOf(digest) >= limit) continue;
      return { effort: this.#effort, nonce: new Uint8Array(this.#nonce) };
    }
    return undefined;
  }
}

function puzzleOf(
  crypto: CryptoSuite,
  seed: Uint8Array,
  { authentication, sealed }: WorkSubject,
): Bytes {
  return crypto.sha256(PUZZLE_CONTEXT, seed, authentication, sealed);
}

/** The first 48 bits. */
function headOf(digest: Uint8Array): number {
  const view = new DataView(digest.buffer, digest.byteOffset);
  return view.getUint16(0) * 2 ** 32 + view.getUint32(2);
}

function effortBytes(effort: number): Bytes {
  const bytes = new Uint8Array(EFFORT_BYTES);
  new DataView(bytes.buffer).setUint32(0, effort);
  return bytes;
}

function epochOf(nowMs: number): number {
  return Math.floor(nowMs / WORK_EPOCH_MS);
}
