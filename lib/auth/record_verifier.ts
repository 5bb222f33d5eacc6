/**
 * Verifying node records once. The same record comes from twenty peers within
 * seconds, and a relay's next record comes with the same proof of work:
 *
 *     bytes known?   ── yes ──▶ check the dates again ──▶ record
 *          │ no
 *     decode, dates, signature ──▶ work and rent known for this key? ── yes ──▶ record
 *                                          │ no
 *                                  scrypt, a few at once ──▶ record
 *
 * @see protocol §2.3 "Node records", §2.4 "Proof of work"
 * @module
 */
import { BoundedQueue } from "../base/bounded_queue.ts";
import { equalBytes } from "../base/bytes.ts";
import { ProtocolError, UnreachableError } from "../base/errors.ts";
import { RecentMap } from "../base/recent_map.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import type { NetworkParameters } from "./network.ts";
import {
  checkRecordDates,
  decodeNodeRecord,
  type NodeRecord,
  RecordDateError,
} from "./node_record.ts";
import { placeOf } from "./proof_of_work.ts";
import { isRent, rentPeriod } from "./rent.ts";

/** How much a verifier remembers and does at once. */
export interface VerifierLimits {
  /** Records remembered, about 2 KiB each. Default {@linkcode MAX_REMEMBERED_RECORDS}. */
  readonly maxRecords?: number;
  /** Proofs of work remembered, about 200 bytes each. Default {@linkcode MAX_REMEMBERED_WORK}. */
  readonly maxWork?: number;
  /** Records that may wait for their work to be checked. Default {@linkcode MAX_WAITING_RECORDS}. */
  readonly maxWaiting?: number;
}

/** Against a flood of valid records that would fill memory: the oldest used is forgotten. */
const MAX_REMEMBERED_RECORDS = 8192;
/** Likewise; more of them, as each spares a call of up to 10 ms. Two for each relay: work, and rent. */
const MAX_REMEMBERED_WORK = 65_536;
/** Against a flood of new identities: what comes on top is turned away. 5 s of work. */
const MAX_WAITING_RECORDS = 1024;

/** Bytes by which a record is found. */
const TAIL_BYTES = 32;

/** scrypt calls at once, 4 MiB each: two leave most threads to others. */
const WORK_AT_ONCE = 2;

/** Checks records in full, and remembers which were right. */
export class RecordVerifier {
  readonly #crypto: CryptoSuite;
  readonly #network: NetworkParameters;
  readonly #records: RecentMap<string, NodeRecord>;
  readonly #work: RecentMap<string, true>;
  /** Work being checked, by its key: twenty peers wait for one call. */
  readonly #pending = new Map<string, Promise<boolean>>();
  readonly #waiting: BoundedQueue<() => void>;
  #running = 0;

  /** A verifier for the records of one network, knowing none yet. */
  constructor(
    crypto: CryptoSuite,
    network: NetworkParameters,
    limits: VerifierLimits = {},
  ) {
    this.#crypto = crypto;
    this.#network = network;
    this.#records = new RecentMap(limits.maxRecords ?? MAX_REMEMBERED_RECORDS);
    this.#work = new RecentMap(limits.maxWork ?? MAX_REMEMBERED_WORK);
    this.#waiting = new BoundedQueue(limits.maxWaiting ?? MAX_WAITING_RECORDS);
  }

  /**
   * Check a record, proof of work included.
   *
   * @param unixMs Wall-clock time now; compared with the dates at every call.
   * @throws {ProtocolError} as {@linkcode decodeNodeRecord}, `auth.record_work`, or
   * `auth.record_rent` when it is not paid for the period in which it ends.
   * @throws {UnreachableError} `auth.verifier_busy` when too many records wait.
   */
  async verify(encoded: Uint8Array, unixMs: number): Promise<NodeRecord> {
    const known = this.recall(encoded, unixMs);
    if (known !== undefined) return known;
    const record = decodeNodeRecord(
      this.#crypto,
      this.#network,
      encoded,
      unixMs,
    );
    // First: it takes a quarter of the time.
    if (!await this.#hasRent(record)) {
      throw new ProtocolError(
        "auth.record_rent",
        "Cannot accept node record: it is not paid for the period in which it ends",
      );
    }
    if (!await this.#hasWork(record)) {
      throw new ProtocolError(
        "auth.record_work",
        "Cannot accept node record: the proof of work is wrong, or gives another place",
      );
    }
    this.#records.set(tailOf(encoded), record);
    return record;
  }

  /**
   * The same for a record whose time may be over: it says where its owner was, not
   * that it is there still.
   *
   * @param overdueMs How long after its expiry it is taken, ms.
   */
  async verifyOverdue(
    encoded: Uint8Array,
    unixMs: number,
    overdueMs: number,
  ): Promise<NodeRecord> {
    try {
      return await this.verify(encoded, unixMs);
    } catch (error) {
      const aheadMs = error instanceof RecordDateError ? error.aheadMs : 1;
      if (aheadMs > 0 || aheadMs < -overdueMs) throw error;
      // As of the last millisecond of its time.
      return await this.verify(encoded, unixMs + aheadMs - 1);
    }
  }

  /**
   * A record that was right before, at once; `undefined` for any other.
   *
   * @throws {ProtocolError} `auth.record_date` when its time is over.
   */
  recall(encoded: Uint8Array, unixMs: number): NodeRecord | undefined {
    const known = this.#records.get(tailOf(encoded));
    if (known === undefined || !equalBytes(known.encoded, encoded)) {
      return undefined;
    }
    checkRecordDates(this.#network, known, unixMs);
    return known;
  }

  /** Whether its place is what its work gives. */
  #hasWork(record: NodeRecord): Promise<boolean> {
    const { publicKey, workNonce, place } = record;
    const difficulty = this.#network.powDifficulty;
    // The place too: it is a claim until the work was done over.
    const key = keyOf(publicKey) + keyOf(workNonce) + keyOf(place);
    return this.#isRight(key, async () => {
      const given = await placeOf(
        this.#crypto,
        difficulty,
        publicKey,
        workNonce,
      );
      return given !== undefined && equalBytes(given, place);
    });
  }

  /** Whether it is paid for. */
  #hasRent({ publicKey, rent, expiry }: NodeRecord): Promise<boolean> {
    const nonce = rent ?? new Uint8Array(0);
    const period = rentPeriod(expiry);
    const key = `${keyOf(publicKey)}${keyOf(nonce)} ${period}`;
    return this.#isRight(
      key,
      () => isRent(this.#crypto, this.#network, publicKey, period, nonce),
    );
  }

  /** Wrong work is not remembered: a peer that sends it loses the link. */
  async #isRight(key: string, look: () => Promise<boolean>): Promise<boolean> {
    if (this.#network.powDifficulty === 0) return true;
    if (this.#work.get(key)) return true;
    let check = this.#pending.get(key);
    if (check === undefined) {
      check = this.#inTurn(look);
      this.#pending.set(key, check);
      try {
        if (await check) this.#work.set(key, true);
      } finally {
        this.#pending.delete(key);
      }
    }
    return await check;
  }

  async #inTurn(look: () => Promise<boolean>): Promise<boolean> {
    await this.#startTurn();
    try {
      return await look();
    } finally {
      this.#endTurn();
    }
  }

  /** Resolves when it is our turn, first come first served. */
  async #startTurn(): Promise<void> {
    if (this.#running < WORK_AT_ONCE) {
      this.#running++;
      return;
    }
    const { promise, resolve } = Promise.withResolvers<void>();
    if (!this.#waiting.push(resolve)) {
      throw new UnreachableError(
        "auth.verifier_busy",
        "Cannot verify node record: too many are waiting",
      );
    }
    await promise;
  }

  /** Our turn becomes the next caller's, if there is one. */
  #endTurn(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#running--;
    else next();
  }
}

/** Bytes as a key of a map. */
function keyOf(bytes: Uint8Array): string {
  return Reflect.apply(String.fromCharCode, undefined, bytes);
}

/**
 * The end of a record, which is half of its signature: no two records that are
 * right share it, and finding one by it takes a tenth of the time of a hash.
 */
function tailOf(encoded: Uint8Array): string {
  return keyOf(encoded.subarray(-TAIL_BYTES));
}
