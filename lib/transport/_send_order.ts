/**
 * Whose bytes a connection sends first. The runtime's QUIC would send a packet of
 * each stream in turn, so that cells of all circuits arrive in pieces and at the
 * same time; here what is written earlier leaves earlier, whole.
 *
 *     place in the order = moment of the write + handicap of the stream
 *     handicap           = 0 for a quiet stream, up to 2 s for a loud one
 *
 * A stream is as loud as the bytes it wrote lately. So a request, a ping or a page
 * leaves before all that downloads have waiting, and a download waits for those at
 * most as long as its handicap: a place is a moment, and time passes every moment.
 *
 * @see docs/decisions/0044-whole-chunks-quiet-streams-first.md
 * @module
 */

/** Tuning: time in which what was written counts half, ms. */
const HALF_LIFE_MS = 10_000;
/** Tuning: a stream that wrote no more lately is quiet. */
const QUIET_BYTES = 64 * 1024;
/** Tuning: handicap for each doubling beyond that, and the most of all, ms. */
const HANDICAP_MS = 250;
const MAX_HANDICAP_MS = 2000;

/** Orders for each ms: streams of one moment shall have one each. */
const ORDERS_PER_MS = 8;
/** The runtime's orders are 32-bit integers; the highest is sent first. */
const FIRST_ORDER = 2 ** 31 - 1;
/** Time until orders begin anew, ms: three days of the six that there are orders for. */
const EPOCH_MS = 2 ** 31 / ORDERS_PER_MS;

/** What is sent in an order, as the runtime's streams are. */
export interface Ordered {
  /** Higher is sent first. May throw once the stream has ended. */
  sendOrder: number;
}

/** The order of one connection's streams. */
export class SendOrder {
  readonly #nowMs: () => number;
  readonly #places = new Set<SendPlace>();
  #epochMs: number;

  /** @param nowMs Monotonic time. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
    this.#epochMs = nowMs();
  }

  /** A place for one stream, until {@linkcode SendPlace.leave}. */
  enter(stream: Ordered): SendPlace {
    const place = new SendPlace(stream, this);
    this.#places.add(place);
    return place;
  }

  /** The stream of `place` writes: say when it would have its turn. For places. */
  orderOf(place: SendPlace, bytes: number): number {
    const nowMs = this.#nowMs();
    if (nowMs - this.#epochMs >= EPOCH_MS) this.#beginAnew(nowMs);
    const turnMs = nowMs - this.#epochMs + place.handicapMs(bytes, nowMs);
    return FIRST_ORDER - 1 - Math.round(turnMs * ORDERS_PER_MS);
  }

  /** For places. */
  forget(place: SendPlace): void {
    this.#places.delete(place);
  }

  /** What still waits is older than all that comes. */
  #beginAnew(nowMs: number): void {
    this.#epochMs = nowMs;
    for (const place of this.#places) place.set(FIRST_ORDER);
  }
}

/** One stream's place in the order of its connection. */
export class SendPlace {
  readonly #stream: Ordered;
  readonly #order: SendOrder;
  /** Bytes written, of which half count after each half-life, at `#sinceMs`. */
  #loudness = 0;
  #sinceMs = 0;

  constructor(stream: Ordered, order: SendOrder) {
    this.#stream = stream;
    this.#order = order;
  }

  /** The stream is about to write so many bytes. */
  onWrite(bytes: number): void {
    this.set(this.#order.orderOf(this, bytes));
  }

  /** It writes no more. */
  leave(): void {
    this.#order.forget(this);
  }

  /** For the order. */
  set(order: number): void {
    try {
      this.#stream.sendOrder = order;
    } catch {
      // The stream has ended, as the write will say.
    }
  }

  /** For the order: how much later than now a write of these bytes has its turn. */
  handicapMs(bytes: number, nowMs: number): number {
    const halvings = (nowMs - this.#sinceMs) / HALF_LIFE_MS;
    this.#loudness = this.#loudness * 2 ** -halvings + bytes;
    this.#sinceMs = nowMs;
    if (this.#loudness <= QUIET_BYTES) return 0;
    const doublings = Math.log2(this.#loudness / QUIET_BYTES);
    return Math.min(MAX_HANDICAP_MS, doublings * HANDICAP_MS);
  }
}
