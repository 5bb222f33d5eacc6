/**
 * Whether the demo works: its website fetched through both proxies, by a client
 * that knows nothing of this project, and every byte compared.
 *
 * @module
 */
import { createHash } from "node:crypto";
import {
  formatSocketAddress,
  type SocketAddress,
} from "../../auth/socket_address.ts";
import { AnonNetError, UnreachableError } from "../../base/errors.ts";
import { demoBytes } from "./demo_site.ts";

/** What of a demo is checked. */
export interface DemoPlaces {
  readonly socks: SocketAddress;
  readonly http: SocketAddress;
  readonly host: string;
}

/** Bytes fetched through each proxy. */
const BULK_BYTES = 16 * 1024 * 1024;
const SMALL_BYTES = 1024;
/** Small requests, one after the other, to time the first byte by. */
const SMALL_REQUESTS = 10;
/** Longest wait for one response, ms: machines that build and test are busy. */
const PATIENCE_MS = 55_000;

/** What was measured through one proxy. */
export interface ProxyFigures {
  readonly proxy: "SOCKS5" | "HTTP";
  /** First response, with descriptor, introduction and rendezvous before it, ms. */
  readonly coldMs: number;
  /** Median time to the first byte of a new stream, ms. */
  readonly warmMs: number;
  /** MiB per second, one stream. */
  readonly bulkMiBPerSecond: number;
}

/**
 * Fetch through both proxies.
 *
 * @throws {UnreachableError} `cli.demo_*` for what is not as it must be.
 */
export async function checkDemo(places: DemoPlaces): Promise<ProxyFigures[]> {
  const socks = `socks5h://${formatSocketAddress(places.socks)}`;
  const http = `http://${formatSocketAddress(places.http)}`;
  return [
    await checkProxy("SOCKS5", socks, places.host),
    await checkProxy("HTTP", http, places.host),
  ];
}

async function checkProxy(
  proxy: ProxyFigures["proxy"],
  url: string,
  host: string,
): Promise<ProxyFigures> {
  // Of its own user name, so that no circuit of the other proxy's is used.
  using client = Deno.createHttpClient({
    proxy: { url, basicAuth: { username: "check", password: proxy } },
    poolMaxIdlePerHost: 0,
  });
  const visit = new Visit(client, `http://${host}`, proxy);
  try {
    return { proxy, ...await measure(visit) };
  } catch (error) {
    if (error instanceof AnonNetError) throw error;
    throw visit.failed(
      "broken",
      "a response breaks off, or takes too long",
      error,
    );
  }
}

async function measure(visit: Visit): Promise<Omit<ProxyFigures, "proxy">> {
  const coldMs = await visit.page();
  const times: number[] = [];
  for (let request = 0; request < SMALL_REQUESTS; request++) {
    const { firstByteMs } = await visit.bytes(SMALL_BYTES, `${request}`);
    times.push(firstByteMs);
  }
  const { tookMs } = await visit.bytes(BULK_BYTES, "bulk");
  await visit.echo();
  await visit.missing();
  const [warmMs = 0] = times.sort((a, b) => a - b).slice(times.length >> 1);
  const bulkMiBPerSecond = BULK_BYTES / 1024 / 1024 / (tookMs / 1000);
  return { coldMs, warmMs, bulkMiBPerSecond };
}

/** Requests of one client. */
class Visit {
  readonly #client: Deno.HttpClient;
  readonly #site: string;
  readonly #proxy: string;

  constructor(client: Deno.HttpClient, site: string, proxy: string) {
    this.#client = client;
    this.#site = site;
    this.#proxy = proxy;
  }

  /** @returns Time until all of it was there, ms. */
  async page(): Promise<number> {
    const startedMs = performance.now();
    const response = await this.#fetch("/");
    const text = await response.text();
    if (response.status !== 200 || !text.includes("It works")) {
      throw this.failed("page", `status ${response.status}`);
    }
    return performance.now() - startedMs;
  }

  async bytes(count: number, seed: string) {
    const startedMs = performance.now();
    const response = await this.#fetch(`/bytes?count=${count}&seed=${seed}`);
    const firstByteMs = performance.now() - startedMs;
    const hash = createHash("sha256");
    let bytes = 0;
    for await (const chunk of response.body ?? []) {
      hash.update(chunk);
      bytes += chunk.length;
    }
    const tookMs = performance.now() - startedMs;
    const expected = createHash("sha256");
    for (const chunk of demoBytes(count, seed)) expected.update(chunk);
    if (bytes !== count || hash.digest("hex") !== expected.digest("hex")) {
      throw this.failed(
        "bytes",
        `${bytes} of ${count} bytes, or not the same`,
      );
    }
    return { firstByteMs, tookMs };
  }

  async echo(): Promise<void> {
    const sent = [...demoBytes(200_000, "echo")];
    const response = await this.#fetch("/echo", {
      method: "POST",
      body: new Blob(sent),
    });
    const back = await response.bytes();
    const same = createHash("sha256").update(back).digest("hex");
    const expected = createHash("sha256");
    for (const chunk of sent) expected.update(chunk);
    if (same !== expected.digest("hex")) {
      throw this.failed("echo", "what came back is not what was sent");
    }
  }

  async missing(): Promise<void> {
    const response = await this.#fetch("/nothing");
    await response.body?.cancel();
    if (response.status !== 404) {
      throw this.failed("missing", `status ${response.status}`);
    }
  }

  async #fetch(path: string, init: RequestInit = {}): Promise<Response> {
    try {
      return await fetch(this.#site + path, {
        ...init,
        client: this.#client,
        signal: AbortSignal.timeout(PATIENCE_MS),
      });
    } catch (cause) {
      throw this.failed("fetch", "no response", cause);
    }
  }

  failed(code: string, why: string, cause?: unknown): UnreachableError {
    return new UnreachableError(
      `cli.demo_${code}`,
      `The demo does not work through ${this.#proxy}: ${why}`,
      { cause },
    );
  }
}

/** Lines for a person. */
export function formatFigures(figures: readonly ProxyFigures[]): string[] {
  return figures.map(({ proxy, coldMs, warmMs, bulkMiBPerSecond }) =>
    `${proxy.padEnd(6)}  first page ${coldMs.toFixed(0)} ms, first byte of ` +
    `another ${warmMs.toFixed(1)} ms, one stream ` +
    `${bulkMiBPerSecond.toFixed(1)} MiB/s, all bytes right`
  );
}
