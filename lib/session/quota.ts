/**
 * How much memory all sessions of a process may hold together, and each of them.
 * Without it, a thousand clients that open streams and never read would each hold
 * a window.
 *
 *     a session holds more than half of all     it lets go of its largest streams
 *     all together hold too much                the session that holds most does
 *
 * A session that holds less than its even part is never the one that holds most,
 * once all hold too much: what a stranger fills, only strangers like him pay for.
 *
 * @module
 */

/** Default for a process, bytes. */
const DEFAULT_SESSION_QUOTA_BYTES = 256 * 1024 * 1024;
/** Tuning: what one session may hold of it. */
const SESSION_FRACTION = 1 / 2;
/**
 * Tuning: letting go goes on until so much is free again, so that sessions that
 * fill it at once do not find it full, and looking for who must go is rare.
 */
const FREE_FRACTION = 1 / 8;
/** Tuning: a session that holds more than so much has to write in small portions. */
const CROWDED_FRACTION = 1 / 16;

/** Lets go of the largest streams of a session: at least `bytes`, or all. */
type Shed = (bytes: number) => void;

/** What one session holds of a quota. */
export class SessionShare {
  readonly #quota: SessionQuota;
  readonly #shed: Shed;
  #heldBytes = 0;

  /** Made by {@linkcode SessionQuota.open}. */
  constructor(quota: SessionQuota, shed: Shed) {
    this.#quota = quota;
    this.#shed = shed;
  }

  /** Bytes that the session holds. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  /** Whether the session holds so much that it should take less from its writers. */
  get isCrowded(): boolean {
    return this.#heldBytes > this.#quota.maxBytes * CROWDED_FRACTION;
  }

  /** Count `bytes` more, or fewer when negative. */
  add(bytes: number): void {
    this.#heldBytes += bytes;
    this.#quota.add(bytes, this);
  }

  /** Whether there is memory for windows larger by `bytes`. */
  mayGrow(bytes: number): boolean {
    return this.#heldBytes + bytes <= this.#quota.roomBytes / 2;
  }

  /** If this session, or all together, hold too much: see to it that streams go. */
  relieve(): void {
    const most = this.#quota.maxBytes * SESSION_FRACTION;
    if (this.#heldBytes > most) {
      this.shed(this.#heldBytes - most * (1 - FREE_FRACTION));
    }
    this.#quota.relieve();
  }

  /** Let go of at least `bytes`. */
  shed(bytes: number): void {
    this.#shed(bytes);
  }

  /** The session is over. */
  close(): void {
    this.add(-this.#heldBytes);
  }
}

/** A count of bytes held, with an upper limit. */
export class SessionQuota {
  readonly maxBytes: number;
  /** Of sessions that hold anything. */
  readonly #holders = new Set<SessionShare>();
  #used = 0;

  constructor(maxBytes: number = DEFAULT_SESSION_QUOTA_BYTES) {
    this.maxBytes = maxBytes;
  }

  /** Bytes held now. */
  get usedBytes(): number {
    return this.#used;
  }

  /** What a session may count on: what is free, and its even part at the least. */
  get roomBytes(): number {
    return Math.max(
      this.maxBytes - this.#used,
      this.maxBytes / Math.max(1, this.#holders.size),
    );
  }

  /** A session begins. @param shed Lets go of its streams when it must. */
  open(shed: Shed): SessionShare {
    return new SessionShare(this, shed);
  }

  /** For shares: one holds `bytes` more, or fewer when negative. */
  add(bytes: number, share: SessionShare): void {
    this.#used += bytes;
    if (share.heldBytes > 0) this.#holders.add(share);
    else this.#holders.delete(share);
  }

  /** While all together hold too much, the session that holds most lets go of half of it. */
  relieve(): void {
    if (this.#used <= this.maxBytes) return;
    const target = this.maxBytes * (1 - FREE_FRACTION);
    while (this.#used > target) {
      const largest = this.#largest();
      if (largest === undefined) return;
      const before = largest.heldBytes;
      largest.shed(Math.min(this.#used - target, before / 2));
      if (largest.heldBytes >= before) return;
    }
  }

  #largest(): SessionShare | undefined {
    let largest: SessionShare | undefined;
    for (const share of this.#holders) {
      if (largest === undefined || share.heldBytes > largest.heldBytes) {
        largest = share;
      }
    }
    return largest;
  }
}
