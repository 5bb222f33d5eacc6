/** Two ends of a session over simulated legs: latency, rate, stalls and death, on a virtual clock. */
import { type Bytes, concat } from "../../lib/base/bytes.ts";
import { nativeSuite } from "../../lib/crypto/native.ts";
import {
  SESSION_CELL_BYTES,
  SESSION_TRAIN_BYTES,
  TRAIN_CELLS,
} from "../../lib/session/leg.ts";
import { SessionQuota } from "../../lib/session/quota.ts";
import { Session } from "../../lib/session/session.ts";
import type { SessionEvent } from "../../lib/session/session_event.ts";

/** How a simulated leg behaves. */
export interface LegPath {
  /** One way, ms. */
  readonly latencyMs: number;
  /** Cells per ms that the narrowest relay carries. */
  readonly cellsPerMs: number;
}

interface SimLeg {
  path: LegPath;
  isAlive: boolean;
  /** Cells are held back until then. */
  stalledUntilMs: number;
  /** When the bottleneck is free again, per direction. */
  freeAtMs: [number, number];
  lastArrivalMs: [number, number];
  inTransit: number;
}

interface Arrival {
  atMs: number;
  order: number;
  run: () => void;
}

/** One end and what its reader and writers know. */
export class End {
  readonly session: Session;
  readonly received = new Map<number, Bytes[]>();
  readonly ended = new Set<number>();
  readonly resets = new Map<number, number>();
  readonly opened = new Map<number, number>();
  readonly events: SessionEvent[] = [];
  readonly #toWrite = new Map<
    number,
    { chunks: Uint8Array[]; finish: boolean; full: boolean }
  >();
  /** Streams whose reader has stopped. */
  readonly stopped = new Set<number>();

  constructor(session: Session) {
    this.session = session;
  }

  write(
    id: number,
    bytes: Uint8Array,
    options: { finish?: boolean } = {},
  ): void {
    const chunks: Uint8Array[] = [];
    for (let at = 0; at < bytes.length; at += 16_384) {
      chunks.push(bytes.subarray(at, at + 16_384));
    }
    this.#toWrite.set(id, {
      chunks,
      finish: options.finish ?? true,
      full: false,
    });
    this.pump(id);
  }

  pump(id: number): void {
    const job = this.#toWrite.get(id);
    if (job === undefined) return;
    job.full = false;
    for (
      let chunk = job.chunks.shift();
      chunk !== undefined;
      chunk = job.chunks.shift()
    ) {
      const result = this.session.streams.write(id, chunk);
      if (result === "gone") return;
      if (result === "full") {
        job.full = true;
        return;
      }
    }
    if (job.finish) this.session.streams.finish(id);
    this.#toWrite.delete(id);
  }

  bytesOf(id: number): Bytes {
    return concat(...(this.received.get(id) ?? []));
  }

  take(events: readonly SessionEvent[], nowMs: number): void {
    for (const event of events) {
      this.events.push(event);
      switch (event.type) {
        case "opened":
          this.opened.set(event.id, event.port);
          break;
        case "readable":
          if (!this.stopped.has(event.id)) this.readAll(event.id, nowMs);
          break;
        case "writable":
          this.pump(event.id);
          break;
        case "reset":
          this.resets.set(event.id, event.code);
          break;
      }
    }
  }

  readAll(id: number, nowMs: number): void {
    const result = this.session.read(id, nowMs);
    if (result === undefined) return;
    const list = this.received.get(id) ?? [];
    this.received.set(id, list);
    list.push(...result.chunks);
    if (result.isEnd) this.ended.add(id);
  }
}

/** The two ends and the legs between them. */
export class SessionPair {
  nowMs = 0;
  readonly client: End;
  readonly service: End;
  readonly legs = new Map<number, SimLeg>();
  /** Every cell on the wire, for tests that look. */
  cellsSent = 0;
  /** Of these, trains. */
  trainsSent = 0;
  #queue: Arrival[] = [];
  #order = 0;

  /** @param options `quota` is of the service's process, where others share it. */
  constructor(
    options: {
      spread?: "one" | "all";
      quotaBytes?: number;
      quota?: SessionQuota;
    } = {},
  ) {
    const crypto = nativeSuite();
    const secret = new Uint8Array(32).fill(7);
    const make = (role: "client" | "service") =>
      new End(
        new Session({
          crypto,
          role,
          secret,
          quota: role === "service" && options.quota !== undefined
            ? options.quota
            : new SessionQuota(options.quotaBytes),
          ...(options.spread === undefined ? {} : { spread: options.spread }),
        }, 0),
      );
    this.client = make("client");
    this.service = make("service");
  }

  addLeg(
    number: number,
    path: LegPath = { latencyMs: 10, cellsPerMs: 8 },
  ): void {
    this.client.session.addLeg(number, this.nowMs);
    this.service.session.addLeg(number, this.nowMs);
    this.legs.set(number, {
      path,
      isAlive: true,
      stalledUntilMs: 0,
      freeAtMs: [0, 0],
      lastArrivalMs: [0, 0],
      inTransit: 0,
    });
  }

  /** The circuit dies: cells on the way are lost; each end hears of it after `noticeMs`. */
  killLeg(number: number, noticeMs = 20): void {
    const leg = this.legs.get(number);
    if (leg === undefined || !leg.isAlive) return;
    leg.isAlive = false;
    for (const end of [this.client, this.service]) {
      this.at(
        this.nowMs + noticeMs,
        () => end.session.removeLeg(number, this.nowMs),
      );
    }
  }

  stallLeg(number: number, untilMs: number): void {
    const leg = this.legs.get(number);
    if (leg !== undefined) leg.stalledUntilMs = untilMs;
  }

  at(atMs: number, run: () => void): void {
    this.#queue.push({ atMs, order: this.#order++, run });
  }

  #flush(): void {
    for (
      const [from, to, direction] of [
        [this.client, this.service, 0],
        [this.service, this.client, 1],
      ] as const
    ) {
      let isBusy = true;
      while (isBusy) {
        isBusy = false;
        for (const [number, leg] of this.legs) {
          const isTrain = from.session.trainWaits(number);
          const cell = new Uint8Array(
            isTrain ? SESSION_TRAIN_BYTES : SESSION_CELL_BYTES,
          );
          if (!from.session.buildCell(number, cell, this.nowMs)) continue;
          isBusy = true;
          const cells = isTrain ? TRAIN_CELLS : 1;
          this.cellsSent += cells;
          this.trainsSent += isTrain ? 1 : 0;
          from.take(from.session.takeEvents(), this.nowMs);
          if (!leg.isAlive) continue;
          const start = Math.max(
            this.nowMs,
            leg.freeAtMs[direction],
            leg.stalledUntilMs,
          );
          leg.freeAtMs[direction] = start + cells / leg.path.cellsPerMs;
          const arriveMs = Math.max(
            leg.lastArrivalMs[direction],
            leg.freeAtMs[direction] + leg.path.latencyMs,
          );
          leg.lastArrivalMs[direction] = arriveMs;
          leg.inTransit++;
          this.at(arriveMs, () => {
            leg.inTransit--;
            if (leg.isAlive) {
              to.take(to.session.onCell(number, cell, this.nowMs), this.nowMs);
            }
          });
        }
      }
    }
  }

  /** Jump from event to event until `isDone`, or nothing is left, or `limitMs` is reached. */
  run(isDone: () => boolean, limitMs = 600_000): void {
    for (;;) {
      this.#flush();
      if (isDone() || this.nowMs >= limitMs) return;
      let next: Arrival | undefined;
      let index = -1;
      for (const [i, arrival] of this.#queue.entries()) {
        if (
          next === undefined || arrival.atMs < next.atMs ||
          (arrival.atMs === next.atMs && arrival.order < next.order)
        ) [next, index] = [arrival, i];
      }
      const deadlines = [this.client, this.service].map((end) =>
        end.session.deadlineMs
      );
      const dueMs = Math.min(...deadlines);
      if (next !== undefined && next.atMs <= dueMs) {
        this.#queue.splice(index, 1);
        this.nowMs = Math.max(this.nowMs, next.atMs);
        next.run();
      } else if (dueMs !== Infinity) {
        this.nowMs = Math.max(this.nowMs, dueMs);
        for (const end of [this.client, this.service]) {
          if (end.session.deadlineMs <= this.nowMs) {
            end.take(end.session.onTime(this.nowMs), this.nowMs);
          }
        }
      } else return;
    }
  }
}
