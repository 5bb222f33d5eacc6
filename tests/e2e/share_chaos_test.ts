/**
 * A file that is shared and downloaded while relays are killed and come back, and the
 * sharing node is killed and started again.
 *
 *     deno task long:share                   a GiB, a kill every 2 s
 *     SHARE_MIB=100 deno task long:share
 *
 * @module
 */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { seededRandom } from "../../lib/base/random.ts";
import { untilFound } from "../support/polling.ts";
import { ProgramProcess } from "../support/process.ts";
import { ProcessNetwork } from "../support/process_network.ts";
import { RelayChaos } from "../support/relay_chaos.ts";
import { UdpPorts } from "../support/udp_ports.ts";
import { testBytes } from "./_site.ts";

const MIB = 1024 * 1024;
const IS_LONG = Deno.env.get("SHARE") === "long";
const TOTAL_MIB = Number(Deno.env.get("SHARE_MIB") ?? (IS_LONG ? 1024 : 16));
const SEED = Number(Deno.env.get("SHARE_SEED") ?? 1);
/** In a long run some three are dead or starting at any time. */
const RELAYS = IS_LONG ? 24 : 10;
const EVERY_MS = 2_000;
const AWAY_MS = 5_000;
/** The whole of a download may take so long, ms. */
const LIMIT_MS = 60_000 + TOTAL_MIB * (IS_LONG ? 2_000 : 10_000);
/** Where the sharing node is killed. */
const RESTART_AT = 0.4 * TOTAL_MIB * MIB;

/** Write blocks of a MiB, no two of them the same. @returns Their hash. */
async function writeFile(path: string): Promise<string> {
  const hash = createHash("sha256");
  const block = testBytes(MIB);
  using file = await Deno.create(path);
  for (let index = 0; index < TOTAL_MIB; index++) {
    new DataView(block.buffer).setUint32(0, index);
    hash.update(block);
    for (let at = 0; at < MIB;) at += await file.write(block.subarray(at));
  }
  return hash.digest("hex");
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash("sha256");
  using file = await Deno.open(path);
  const buffer = new Uint8Array(MIB);
  for (;;) {
    const count = await file.read(buffer);
    if (count === null) return hash.digest("hex");
    hash.update(buffer.subarray(0, count));
  }
}

Deno.test(`anonnet get brings ${TOTAL_MIB} MiB whole from anonnet share, while relays die and the sharing node is killed and comes back`, async () => {
  using ports = new UdpPorts(RELAYS);
  await using network = await ProcessNetwork.start({
    relays: RELAYS,
    relayFlags: (index) => [
      `--listen=127.0.0.1:${ports.ports[index]}`,
      `--advertise=127.0.0.1:${ports.ports[index]}`,
    ],
  });
  const { home } = network;
  const source = home.pathOf("large.bin");
  const sha256 = await writeFile(source);
  const sharer = await network.start("share", "sharer", [
    "--downloads=1",
    source,
  ]);
  const { link } = sharer;
  const target = home.pathOf("got.bin");
  const startedMs = performance.now();
  await using getter = ProgramProcess.start([
    "get",
    ...network.wordsOf("getter"),
    `--output=${target}`,
    link,
  ]);
  using chaos = new RelayChaos(network.relays, seededRandom(SEED));
  const striking = IS_LONG ? chaos.run(EVERY_MS, AWAY_MS) : undefined;
  const sizeFrom = (bytes: number) => async () => {
    const facts = await Deno.stat(`${target}.part`).catch(() => undefined);
    return facts !== undefined && facts.size >= bytes ? facts.size : undefined;
  };
  const half = "a part of the file";
  if (!IS_LONG) {
    await untilFound(sizeFrom(RESTART_AT / 2), LIMIT_MS, half);
    await chaos.step();
  }
  await untilFound(sizeFrom(RESTART_AT), LIMIT_MS, half);
  await sharer.restart("kill");
  assert.equal(sharer.link, link, "the link is another one after a restart");
  if (!IS_LONG) await chaos.step();
  const { code, stdout, stderr } = await getter.outcome(LIMIT_MS);
  const seconds = Math.round((performance.now() - startedMs) / 1000);
  chaos[Symbol.dispose]();
  await striking;
  assert.equal(code, 0, stderr);
  assert.equal(stdout, `${target}\n`);
  assert.match(stderr, /Going on after/);
  assert.match(stderr, /SHA-256 compared/);
  assert.equal(await sha256Of(target), sha256);
  // The one download that was to be: the rest of it after the restart counts.
  const { code: ended } = await sharer.process.outcome();
  assert.equal(ended, 0);
  const { kill } = chaos.counts;
  assert.ok(kill >= 2, `${kill} kills`);
  // deno-lint-ignore no-console
  if (IS_LONG) console.log(`${TOTAL_MIB} MiB in ${seconds} s, ${kill} kills`);
});
