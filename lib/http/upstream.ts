/**
 * Connections to services that may carry another request. Each belongs to one host,
 * port and isolation key, and is never lent across.
 *
 *     fresh ─▶ request, response ─▶ idle ─▶ request, response ─▶ idle ─▶ …
 *                                    └─ ends, speaks unasked, or waits too long: dropped
 *
 * @see protocol §8.4 "HTTP"
 * @module
 */
import type { Clock, Timer } from "../base/clock.ts";
import { type ByteSource, streamSource } from "./byte_source.ts";
import type { GatewayStream, GatewayTarget } from "./gateway.ts";

/** Idle connections in all. Against a page that names hosts without end. */
export const MAX_IDLE = 128;
/** Idle connections of one host, port and isolation key; as browsers open. */
export const MAX_IDLE_PER_TARGET = 6;
/** How long one may be idle, ms: less than most servers keep theirs open. */
export const UPSTREAM_IDLE_MS = 30_000;

/** One connection to a service. */
export class Upstream {
  readonly stream: GatewayStream;
  readonly source: ByteSource;
  /** That of the pool when it was asked for. */
  readonly generation: number;

  constructor(stream: GatewayStream, generation = 0) {
    this.stream = stream;
    this.generation = generation;
    this.source = streamSource(stream);
  }
}

interface IdleUpstream {
  readonly key: string;
  readonly upstream: Upstream;
  readonly timer: Timer;
}

/** The idle connections of a proxy. */
export class UpstreamPool implements Disposable {
  readonly #clock: Clock;
  /** The one idle for longest first. */
  readonly #idle = new Set<IdleUpstream>();
  #generation = 0;
  #isDisposed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** What a new connection is of: it is kept only while this is the same. */
  get generation(): number {
    return this.#generation;
  }

  /** From now on no connection is lent that was asked for before. */
  renew(): void {
    this.#generation++;
    // At once: an end that is waited for would count as a stream that goes on.
    for (const { upstream } of this.#idle) upstream.stream.abort();
    for (const entry of this.#idle) this.#drop(entry);
  }

  /** Idle connections held. */
  get size(): number {
    return this.#idle.size;
  }

  /** An idle connection to a target, the one used last; it leaves the pool. */
  take(target: GatewayTarget): Upstream | undefined {
    const key = keyOf(target);
    const entry = [...this.#idle].findLast((idle) => idle.key === key);
    if (entry === undefined) return undefined;
    this.#remove(entry);
    return entry.upstream;
  }

  /** Keep a connection whose last response has been read to its end. */
  give(target: GatewayTarget, upstream: Upstream): void {
    const isOld = upstream.generation !== this.#generation;
    // Bytes after the response answer nothing we asked.
    if (this.#isDisposed || isOld || upstream.source.bytes.length > 0) {
      return upstream.stream.leave();
    }
    const key = keyOf(target);
    const same = [...this.#idle].filter((idle) => idle.key === key);
    if (same.length >= MAX_IDLE_PER_TARGET) this.#drop(same[0]);
    if (this.#idle.size >= MAX_IDLE) {
      const [oldest] = this.#idle;
      this.#drop(oldest);
    }
    const timer = this.#clock.schedule(
      UPSTREAM_IDLE_MS,
      () => this.#drop(entry),
      { keepAlive: false },
    );
    const entry: IdleUpstream = { key, upstream, timer };
    this.#idle.add(entry);
    // The exchange that takes the connection waits for this same read.
    const onEvent = () => {
      if (this.#idle.has(entry)) this.#drop(entry);
    };
    upstream.source.more().then(onEvent, onEvent);
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    for (const entry of this.#idle) this.#drop(entry);
  }

  #drop(entry: IdleUpstream | undefined): void {
    if (entry === undefined) return;
    this.#remove(entry);
    entry.upstream.stream.leave();
  }

  #remove(entry: IdleUpstream): void {
    this.#idle.delete(entry);
    entry.timer.cancel();
  }
}

function keyOf({ host, port, isolation }: GatewayTarget): string {
  return JSON.stringify([host, port, isolation ?? null]);
}
