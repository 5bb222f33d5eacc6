/**
 * A relay process that three hosts attack by all ways at once, each with a process of
 * its own, while clients come that have never been connected before.
 *
 *     deno task long:siege-relay
 *
 * It prints what newcomers got, and what it cost. Hosts are addresses of 127.0.0.0/8 in
 * other /24s, which Linux alone has without being told to.
 *
 * @module
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { cpuSeconds } from "../../bench/process_facts.ts";
import { assertLetIn, Door, type Service } from "../siege/newcomers.ts";
import { QuicSiege } from "../siege/siege_world.ts";
import { LineProcess } from "../support/line_process.ts";
import { RelayProcess } from "../support/relay_processes.ts";

/** How long they attack: a minute in the long task, and not at all beside other tests. */
const SECONDS = Number(Deno.env.get("SIEGE_SECONDS") ?? 0);
const HOSTS = ["127.1.1.1", "127.1.2.1", "127.1.3.1"];
/** Links of each host and attack. */
const LINKS = 2;
const GOODPUT_MS = 2_000;
const MIB = 1024 * 1024;

const RAIDER = fileURLToPath(
  new URL("../support/raider_process.ts", import.meta.url),
);

Deno.test({
  name:
    "newcomers come in at a relay that three hosts attack by all ways at once, and it stays under its quota",
  ignore: SECONDS === 0 || Deno.build.os !== "linux",
  async fn() {
    await using stack = new AsyncDisposableStack();
    const start = async () =>
      stack.use(
        await RelayProcess.start({ countsHosts: true, keepsRecords: true }),
      );
    const [relay, beside] = [await start(), await start()];
    const world = new QuicSiege(1);
    stack.defer(() => world.close());
    const next = () => Promise.resolve(beside.record);
    const door = await Door.open(world, relay.record, next, GOODPUT_MS);
    const quiet = await door.measure();
    const before = await relay.cleanReport();
    const record = relay.record.encoded.toHex();
    const raiders = HOSTS.map((host) =>
      stack.use(new LineProcess(RAIDER, [host, record, `${LINKS}`]))
    );
    for (const raider of raiders) await raider.line();
    const pids = [relay.process.pid, ...raiders.map(({ pid }) => pid)];
    const cpuBefore = await cpuSeconds(pids);
    const fromMs = performance.now();
    let most = before;
    const services: Service[] = [];
    while (performance.now() - fromMs < SECONDS * 1000) {
      services.push(await door.measure());
      const report = await relay.report();
      if (report.residentBytes > most.residentBytes) most = report;
    }
    const tookS = (performance.now() - fromMs) / 1000;
    const cores = (await cpuSeconds(pids)).map((seconds, index) =>
      ((seconds - (cpuBefore[index] ?? 0)) / tookS).toFixed(2)
    );
    const told = JSON.stringify({
      quiet,
      services,
      cores,
      residentMib: [before, most].map(({ residentBytes }) =>
        Math.round(residentBytes / MIB)
      ),
      ...most,
    });
    Deno.stdout.writeSync(new TextEncoder().encode(`${told}\n`));
    for (const service of services) assertLetIn(quiet, service);
    const { residentBytes, stats, errors } = most;
    assert.ok(residentBytes < stats.quotaBytes, `${residentBytes} bytes`);
    assert.deepEqual(errors, []);
  },
});
