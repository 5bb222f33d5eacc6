/**
 * A site of a service, and a visitor who writes what it likes on its streams.
 *
 * @module
 */
import { type Bytes } from "../../../lib/base/bytes.ts";
import { sleep } from "../../../lib/base/clock.ts";
import { AnonNetError, BugError } from "../../../lib/base/errors.ts";
import { VirtualClock } from "../../../lib/base/virtual_clock.ts";
import { latin1Bytes } from "../../../lib/http/latin1.ts";
import { SITE_KEEP_ALIVE_MS, siteTarget } from "../../../lib/http/site.ts";
import { createDrain } from "../../../lib/sim/world/drain.ts";
import { type PairEnd, streamPair } from "../../proxy/stream_pair.ts";
import { HOST } from "../../proxy/world.ts";
import { runOn } from "../../transport/world.ts";
import {
  decodeStep,
  encodeStep,
  type FuzzInput,
  type FuzzTarget,
  promise,
} from "../fuzz_target.ts";
import { REQUESTS } from "./head_targets.ts";

const KIND = { say: 0, end: 1, wait: 2 };
const KINDS = Object.keys(KIND).length;

/** What the site does: bodies go back, and some answers stream. */
function answer(request: Request): Response {
  const { pathname } = new URL(request.url);
  if (pathname.startsWith("/e")) return new Response(request.body);
  return new Response(pathname, { headers: { "x-method": request.method } });
}

async function play(clock: VirtualClock, input: FuzzInput): Promise<string> {
  const { client, service } = streamPair();
  const faults: unknown[] = [];
  let end = "";
  const serve = siteTarget(80, {
    clock,
    host: () => HOST,
    handler: answer,
    onFault: (error) => faults.push(error),
  });
  const stop = new AbortController();
  const served = serve({
    opened: service.opened,
    closed: Promise.race([client.aborted, service.aborted]),
    accept: () => client.open(),
    read: () => service.read(),
    write: (bytes) => service.write(bytes),
    closeWrite: () => service.closeWrite(),
    leave: () => service.leave(),
    abort: () => service.abort(),
  }, stop.signal).then(() => end = "served", (error) => {
    if (!(error instanceof AnonNetError) || error instanceof BugError) {
      throw error;
    }
    end = error.code;
  });
  const heard = readAll(client);
  for (const bytes of input) {
    const { kind, delayMs, body } = decodeStep(bytes, KINDS);
    if (kind === KIND.say) void client.write(body).catch(() => {});
    if (kind === KIND.end) void client.closeWrite();
    await sleep(clock, delayMs);
  }
  void client.closeWrite();
  await sleep(clock, 2 * SITE_KEEP_ALIVE_MS);
  client.abort();
  service.abort();
  await served;
  for (const fault of faults) throw fault;
  promise(clock.pending === 0, `${clock.pending} deadlines are left`);
  return `${end} ${Math.ceil(Math.log2((await heard) + 1) / 3)}`;
}

async function readAll(stream: PairEnd): Promise<number> {
  let count = 0;
  try {
    for (;;) {
      const chunk = await stream.read();
      if (chunk === undefined) return count;
      count += chunk.length;
    }
  } catch {
    return count;
  }
}

function honestRuns(): FuzzInput[] {
  const say = (text: string): Bytes =>
    encodeStep(KIND.say, latin1Bytes(text), 200);
  const field = `Host: ${HOST}\r\n`;
  const own = [
    `GET / HTTP/1.1\r\n${field}\r\n`,
    `POST /echo HTTP/1.1\r\n${field}Content-Length: 5\r\n\r\nhello`,
    `PUT /e HTTP/1.1\r\n${field}Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n`,
    `POST /e HTTP/1.1\r\n${field}Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc`,
    `HEAD /a%20b?c HTTP/1.0\r\n\r\n`,
  ];
  return [
    ...own.map((text) => [say(text)]),
    own.map(say),
    ...REQUESTS.slice(0, 5).map((text) => [say(text)]),
    [say((own[1] ?? "").slice(0, -2)), encodeStep(KIND.end, new Uint8Array(0))],
  ];
}

/** A site as a target. */
export const SITE: FuzzTarget = {
  name: "http/site",
  about: "a site: requests of a visitor on one stream",
  hasSteps: true,
  allowed: [],
  cpu: { baseMs: 300, perKibMs: 10 },
  seeds: honestRuns,
  async run(input) {
    const clock = new VirtualClock({ drain: createDrain(), maxEvents: 1e6 });
    return await runOn(clock, play(clock, input));
  },
};
