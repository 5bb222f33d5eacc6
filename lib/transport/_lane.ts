/**
 * One direction of a connection in the in-memory network: a queue of what is
 * under way, in the order in which it arrives.
 *
 *     sent ─▶ waits for the line ─▶ takes bytes/rate ─▶ latency + jitter ─▶ arrives
 *
 * A lane asks for one wake-up, for its first packet, whatever else is under way.
 *
 * @module
 */
import { randomFloat } from "../base/random.ts";
import type { Random } from "../base/random.ts";

/** How a line carries. */
export interface LinkProperties {
  /** One way, ms. */
  readonly latencyMs: number;
  /** Up to as much more, drawn evenly per packet, ms; never reorders. Default 0. */
  readonly jitterMs?: number;
  /** Default: no limit. First come, first served. */
  readonly bytesPerSecond?: number;
}

/** A line that several lanes share, such as a node's way to its provider. */
export interface SharedLine {
  readonly bytesPerSecond: number;
  /** When it will have sent what it has, ms. Set by the lanes. */
  busyUntilMs: number;
}

/** What a lane needs of its network. */
export interface LaneHost {
  readonly random: Random;
  nowMs(): number;
  /** The moment at which something due at `atMs` is delivered: not before it. */
  deliveryMs(atMs: number): number;
  /** Call `lane.deliver` at `atMs`, which is a delivery moment. */
  wake(lane: Waking, atMs: number): void;
}

/** Who is woken by a {@linkcode LaneHost}. */
export interface Waking {
  deliver(nowMs: number): void;
}

interface Packet<M> {
  readonly message: M;
  arrivalMs: number;
}

/** One direction of a connection. */
export class Lane<M> implements Waking {
  /** May change; what is under way keeps its times. */
  link: LinkProperties;
  readonly #host: LaneHost;
  readonly #shared: SharedLine | undefined;
  readonly #receive: (message: M) => void;
  #packets: Packet<M>[] = [];
  #head = 0;
  #busyUntilMs = 0;
  #lastArrivalMs = 0;
  #stalled = false;
  /** The earliest wake-up asked for. */
  #wakeMs = Infinity;

  constructor(
    host: LaneHost,
    link: LinkProperties,
    shared: SharedLine | undefined,
    receive: (message: M) => void,
  ) {
    this.#host = host;
    this.link = link;
    this.#shared = shared;
    this.#receive = receive;
  }

  /** Send; `delayMs` more than the line takes, for all that follows too. */
  send(message: M, bytes: number, delayMs: number): void {
    const nowMs = this.#host.nowMs();
    const atMs = this.#afterLine(nowMs, bytes) + this.#travelMs() + delayMs;
    const arrivalMs = Math.max(
      this.#lastArrivalMs,
      this.#host.deliveryMs(atMs),
    );
    this.#lastArrivalMs = arrivalMs;
    this.#packets.push({ message, arrivalMs });
    this.#arm();
  }

  /** Hold everything back, as a cut cable does. */
  stall(): void {
    this.#stalled = true;
  }

  /** Let go: what was held back is sent once more, and arrives a latency later. */
  resume(): void {
    if (!this.#stalled) return;
    this.#stalled = false;
    const againMs = this.#host.deliveryMs(
      this.#host.nowMs() + this.#travelMs(),
    );
    for (let i = this.#head; i < this.#packets.length; i++) {
      const packet = this.#packets[i] as Packet<M>;
      packet.arrivalMs = Math.max(packet.arrivalMs, againMs);
    }
    this.#lastArrivalMs = Math.max(this.#lastArrivalMs, againMs);
    this.#arm();
  }

  /** Drop what is under way, and keep nothing back for its sake. */
  clear(): void {
    this.#packets.length = 0;
    this.#head = 0;
    this.#lastArrivalMs = 0;
  }

  deliver(nowMs: number): void {
    this.#wakeMs = Infinity;
    while (!this.#stalled) {
      const packet = this.#packets[this.#head];
      if (packet === undefined || packet.arrivalMs > nowMs) break;
      this.#head++;
      this.#receive(packet.message);
    }
    if (this.#head >= this.#packets.length) {
      this.#packets.length = 0;
      this.#head = 0;
    } else if (this.#head > 64 && this.#head * 2 > this.#packets.length) {
      this.#packets.splice(0, this.#head);
      this.#head = 0;
    }
    this.#arm();
  }

  #arm(): void {
    const first = this.#packets[this.#head];
    if (this.#stalled || first === undefined) return;
    if (first.arrivalMs >= this.#wakeMs) return;
    this.#wakeMs = first.arrivalMs;
    this.#host.wake(this, first.arrivalMs);
  }

  #travelMs(): number {
    const { latencyMs, jitterMs = 0 } = this.link;
    return jitterMs === 0
      ? latencyMs
      : latencyMs + jitterMs * randomFloat(this.#host.random);
  }

  /** When the last of `bytes` has left, if they queue up now. */
  #afterLine(nowMs: number, bytes: number): number {
    let leavesMs = nowMs;
    if (bytes === 0) return leavesMs;
    if (this.#shared !== undefined) {
      leavesMs = Math.max(leavesMs, this.#shared.busyUntilMs) +
        bytes * 1000 / this.#shared.bytesPerSecond;
      this.#shared.busyUntilMs = leavesMs;
    }
    const { bytesPerSecond } = this.link;
    if (bytesPerSecond !== undefined) {
      leavesMs = Math.max(leavesMs, this.#busyUntilMs) +
        bytes * 1000 / bytesPerSecond;
      this.#busyUntilMs = leavesMs;
    }
    return leavesMs;
  }
}
