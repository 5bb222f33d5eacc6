/**
 * A crowd of visitors: each has an isolation of its own, comes at its time, and
 * asks for some bytes again and again until its time is over.
 *
 *     visitor 1   ask ··· think ··· ask ··· think ···
 *     visitor 2       ask ··· think ··· ask ···
 *              ↑ arrival                             ↑ end
 *
 * @module
 */
import { download, pause } from "./network_load.ts";

/** What a crowd does. */
export interface CrowdOptions {
  readonly visitors: number;
  readonly arrivalsPerSecond: number;
  /** Between the end of a request and the next, s; 0: each visitor asks once. */
  readonly thinkSeconds: number;
  readonly bytes: number;
  /** From the first arrival on, no request begins after it, s. */
  readonly seconds: number;
  /** A request that takes longer has failed, s. */
  readonly patienceSeconds: number;
}

/** One request, as it went. */
export interface RequestFact {
  readonly type: "request";
  /** Since the first arrival, s. */
  readonly atSeconds: number;
  readonly visitor: number;
  /** Number of the request of this visitor, from 0. */
  readonly request: number;
  readonly tookMs: number;
  /** `undefined` when all bytes came. */
  readonly error: string | undefined;
}

/** Where a crowd goes. */
export interface CrowdTarget {
  /** `HOST:PORT` of SOCKS proxies; visitors are dealt out to them in turn. */
  readonly proxies: readonly string[];
  /** `….anon`. */
  readonly host: string;
}

/** Send the crowd. Resolves when all of it is done. */
export async function sendCrowd(
  target: CrowdTarget,
  options: CrowdOptions,
  onRequest: (fact: RequestFact) => void,
): Promise<void> {
  const startMs = performance.now();
  const visitors: Promise<void>[] = [];
  for (let visitor = 0; visitor < options.visitors; visitor++) {
    const dueMs = startMs + visitor * 1000 / options.arrivalsPerSecond;
    await pause(dueMs - performance.now());
    visitors.push(visit(target, options, visitor, startMs, onRequest));
  }
  await Promise.all(visitors);
}

async function visit(
  { proxies, host }: CrowdTarget,
  options: CrowdOptions,
  visitor: number,
  startMs: number,
  onRequest: (fact: RequestFact) => void,
): Promise<void> {
  const socks = proxies[visitor % proxies.length] ?? "";
  const isolation = `visitor ${visitor}`;
  const { bytes, seconds, thinkSeconds, patienceSeconds } = options;
  for (let request = 0;; request++) {
    const beganMs = performance.now();
    if (beganMs - startMs > seconds * 1000) return;
    let error: string | undefined;
    try {
      const signal = AbortSignal.timeout(patienceSeconds * 1000);
      await download({ socks, host, isolation }, { bytes, signal });
    } catch (thrown) {
      error = thrown instanceof Error ? thrown.message : String(thrown);
    }
    onRequest({
      type: "request",
      atSeconds: rounded((beganMs - startMs) / 1000),
      visitor,
      request,
      tookMs: rounded(performance.now() - beganMs),
      error,
    });
    if (thinkSeconds === 0) return;
    await pause(thinkSeconds * 1000);
  }
}

/**
 * A connection that carries a byte each way, again and again, until it breaks or
 * is told to end.
 */
export class SlowConnection {
  readonly #control = new AbortController();
  readonly #done: Promise<string | undefined>;
  #bytes = 0;

  /** @param everySeconds Between two bytes, s. */
  constructor(target: CrowdTarget, everySeconds: number) {
    const [socks = ""] = target.proxies;
    const { host } = target;
    const { signal } = this.#control;
    this.#done = download({ socks, host, isolation: "slow" }, {
      bytes: 1_000_000,
      pace: { everySeconds },
      onBytes: (count) => this.#bytes += count,
      signal,
    }).then(() => "it ended", (error) => {
      return signal.aborted ? undefined : String(error);
    });
  }

  /** Bytes that came. */
  get bytes(): number {
    return this.#bytes;
  }

  /** End it. @returns What it broke of before; `undefined` when it lived. */
  async end(): Promise<string | undefined> {
    const broken = await Promise.race([this.#done, pause(0).then(() => "")]);
    this.#control.abort();
    await this.#done;
    return broken === "" ? undefined : broken;
  }
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}
