/**
 * Transfers and connections between processes while relays are killed, or paused,
 * and come back, near and far.
 *
 *     deno task long:chaos                       a GiB, a kill every 2 s, ten seeds
 *     CHAOS_MIB=100 CHAOS_SEEDS=3-3 deno task long:chaos
 *
 * @module
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { seededRandom } from "../../lib/base/random.ts";
import { command, isInstalled, startSshd } from "../support/client_programs.ts";
import {
  CAN_BE_FAR,
  type FarLinkOptions,
  FarLinks,
} from "../support/far_links.ts";
import { Lines } from "../support/process.ts";
import { ProcessNetwork } from "../support/process_network.ts";
import { type Blow, RelayChaos } from "../support/relay_chaos.ts";
import { UdpPorts } from "../support/udp_ports.ts";
import { testBytes } from "./_site.ts";

const MIB = 1024 * 1024;
/** A long run kills by the clock, a short one as bytes arrive. */
const IS_LONG = Deno.env.get("CHAOS") === "long";
/** In a long run some three are dead or starting at any time. */
const RELAYS = IS_LONG ? 24 : 10;
const TOTAL_MIB = Number(Deno.env.get("CHAOS_MIB") ?? (IS_LONG ? 1024 : 8));
const SEEDS = Deno.env.get("CHAOS_SEEDS") ?? (IS_LONG ? "1-10" : "1-1");
const [FIRST_SEED = 1, LAST_SEED = 1] = SEEDS.split("-").map(Number);
const FAR_MIB = IS_LONG ? TOTAL_MIB / 4 : 8;
/** Of each link. */
const FAR = { delayMs: 10, lossPercent: 0.05 } as const;
const EVERY_MS = 2_000;
const AWAY_MS = 5_000;
/** In a short run a relay is struck whenever another such part has arrived. */
const PART = 1 / 4;
const SSH_KILLS = IS_LONG ? 20 : 4;

/** Blocks of a MiB, no two of them the same, and their hash when all are read. */
class Source {
  readonly #hash = createHash("sha256");
  readonly #block = testBytes(MIB);
  readonly #mib: number;
  #count = 0;

  constructor(mib: number) {
    this.#mib = mib;
  }

  get stream(): ReadableStream<Uint8Array<ArrayBuffer>> {
    return new ReadableStream({
      pull: (controller) => {
        if (this.#count === this.#mib) return controller.close();
        const block = this.#block.slice();
        new DataView(block.buffer).setUint32(0, this.#count++);
        this.#hash.update(block);
        controller.enqueue(block);
      },
    }, { highWaterMark: 0 });
  }

  get sha256(): string {
    return this.#hash.copy().digest("hex");
  }
}

/** Read all of it. @param onMib Called for every MiB that has arrived. */
async function sha256Of(
  stream: ReadableStream<Uint8Array>,
  onMib: (count: number) => Promise<void> = async () => {},
): Promise<string> {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of stream) {
    hash.update(chunk);
    const before = Math.floor(bytes / MIB);
    bytes += chunk.length;
    for (let mib = before + 1; mib <= bytes / MIB; mib++) await onMib(mib);
  }
  return hash.digest("hex");
}

/** Gives a stream at `/down`, and at `/up` says what the hash of a body is. */
function startSite(source: Source, onMib?: (count: number) => Promise<void>) {
  return Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    async ({ url, body }) => {
      if (new URL(url).pathname === "/down") {
        return new Response(source.stream);
      }
      return new Response(body === null ? "" : await sha256Of(body, onMib));
    },
  );
}

/** Relays at ports that they keep, so that they come back where they were. */
function startRelays(
  { ports }: UdpPorts,
  fronts: readonly number[] = ports,
): Promise<ProcessNetwork> {
  return ProcessNetwork.start({
    relays: RELAYS,
    relayFlags: (index) => [
      `--listen=127.0.0.1:${ports[index]}`,
      `--advertise=127.0.0.1:${fronts[index]}`,
    ],
  });
}

const DIRECTIONS = ["download", "upload"] as const;

/** A transfer and what happens to relays meanwhile. */
interface Ordeal {
  readonly direction: typeof DIRECTIONS[number];
  readonly mib: number;
  readonly seed: number;
  readonly blows: readonly Blow[];
  /** How far apart nodes are. Default: not at all. */
  readonly far?: Omit<FarLinkOptions, "ports">;
}

async function transfer(
  { direction, mib, seed, blows, far }: Ordeal,
): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const ports = stack.use(new UdpPorts(RELAYS));
  const links = far &&
    stack.use(await FarLinks.start({ ...far, ...ports }));
  const network = stack.use(await startRelays(ports, links?.fronts));
  const random = seededRandom(seed);
  const chaos = stack.use(new RelayChaos(network.relays, random, blows));
  const onMib = async (count: number) => {
    const isDue = !IS_LONG && count % (mib * PART) === 0 && count < mib;
    if (isDue) await chaos.step();
  };
  const source = new Source(mib);
  const site = stack.use(startSite(source, onMib));
  const [service, proxy] = await Promise.all([
    network.serve([`80=127.0.0.1:${site.addr.port}`]),
    network.proxy("proxy"),
  ]);
  const client = stack.use(
    Deno.createHttpClient({ proxy: { url: `socks5h://${proxy.socks}` } }),
  );
  const url = `http://${service.host}`;
  const striking = IS_LONG ? chaos.run(EVERY_MS, AWAY_MS) : undefined;
  if (direction === "download") {
    const response = await fetch(`${url}/down`, { client });
    assert.ok(response.body !== null);
    const sha256 = await sha256Of(response.body, onMib);
    assert.equal(sha256, source.sha256);
  } else {
    const body = source.stream;
    const request = { method: "POST", body, client };
    const answer = await fetch(`${url}/up`, request);
    assert.equal(await answer.text(), source.sha256);
  }
  chaos[Symbol.dispose]();
  await striking;
  const { kill, pause } = chaos.counts;
  assert.ok(kill + pause >= 3, `${kill} kills, ${pause} pauses`);
}

for (let seed = FIRST_SEED; seed <= LAST_SEED; seed++) {
  // Beside the other tests simulations send both ways (tests/sim/chaos_test.ts).
  for (const direction of IS_LONG ? DIRECTIONS : ["download"] as const) {
    Deno.test(`${direction} of ${TOTAL_MIB} MiB is whole while relays die and come back (seed ${seed})`, () =>
      transfer({ direction, mib: TOTAL_MIB, seed, blows: ["kill"] }));
  }
  Deno.test({
    name:
      `download of ${FAR_MIB} MiB is whole over far links that lose packets, while relays die, stop and come back (seed ${seed})`,
    ignore: !CAN_BE_FAR,
    fn: () =>
      transfer({
        direction: "download",
        mib: FAR_MIB,
        seed,
        blows: ["kill", "pause"],
        far: FAR,
      }),
  });
}

const SSH_PROGRAMS = ["ssh", "sshd", "ssh-keygen", "nc"];
const MISSING = SSH_PROGRAMS.filter((name) => !isInstalled(name));

Deno.test({
  name: `an SSH session over SOCKS survives ${SSH_KILLS} kills of relays` +
    MISSING.map((name) => `; skipped: no ${name} here`).join(""),
  ignore: MISSING.length > 0 || Deno.build.os !== "linux",
  async fn() {
    await using sshd = await startSshd();
    using ports = new UdpPorts(RELAYS);
    await using network = await startRelays(ports);
    using chaos = new RelayChaos(network.relays, seededRandom(FIRST_SEED));
    const [service, proxy] = await Promise.all([
      network.serve([`22=${sshd.target}`]),
      network.proxy("proxy"),
    ]);
    const child = command("ssh", [
      ...sshd.clientOptions,
      ...["-o", `ProxyCommand=nc -X 5 -x ${proxy.socks} %h %p`],
      ...[service.host, "cat"],
    ], { stdin: "piped", stdout: "piped", stderr: "inherit" }).spawn();
    const lines = new Lines(child.stdout);
    const writer = child.stdin.getWriter();
    const type = async (line: string) => {
      await writer.write(new TextEncoder().encode(`${line}\n`));
      await lines.until((answer) => answer === line);
    };
    const killing = IS_LONG ? chaos.run(EVERY_MS, AWAY_MS) : undefined;
    for (let line = 0; chaos.counts.kill < SSH_KILLS; line++) {
      if (!IS_LONG) await chaos.step();
      await type(`line ${line}`);
    }
    chaos[Symbol.dispose]();
    await killing;
    await type("the last line");
    await writer.close();
    assert.equal((await child.status).code, 0);
    await lines.all;
  },
});
