import assert from "node:assert/strict";
import { networkParameters } from "../../lib/auth/network.ts";
import { utf8 } from "../../lib/base/bytes.ts";
import { sleep } from "../../lib/base/clock.ts";
import {
  type FamilyName,
  METRIC_FAMILIES,
  seriesName,
} from "../../lib/metrics/metric_families.ts";
import { METRICS_TOKEN, NodeMetrics } from "../../lib/node/node_metrics.ts";
import type { NodeParts } from "../../lib/node/node_parts.ts";
import { NodeProxies } from "../../lib/node/node_proxies.ts";
import { StateDirectory } from "../../lib/storage/state_directory.ts";
import { formatKey } from "../../lib/storage/key_format.ts";
import { inNodeWorld, type Machine } from "./node_world.ts";

const MIB = 1024 * 1024;
const OPTIONS = { listen: undefined, version: "1.2.3" };

async function stateOf({ runtime: { files, crypto } }: Machine) {
  return await StateDirectory.open("metrics-state", {
    files,
    crypto,
    holder: "test",
    onSetAside: () => {},
  });
}

/** Values of a page, by what stands before them. */
function valuesOf(page: string): Map<string, number> {
  const lines = page.split("\n").filter((line) => /^[a-z]/.test(line));
  return new Map(lines.map((line) => {
    const at = line.lastIndexOf(" ");
    return [line.slice(0, at), Number(line.slice(at))];
  }));
}

Deno.test("NodeMetrics tells every family of a node that is everything, and no address", () =>
  inNodeWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const [first] = await world.relays(5, stack);
    assert.ok(first !== undefined);
    const machine = world.machine();
    const runtime = { ...machine.runtime, memoryBytes: () => 50 * MIB + 1 };
    await machine.files.makeDirectory("state");
    const key = formatKey(runtime.crypto, new Uint8Array(32).fill(1));
    machine.files.plant("state/family.key", utf8(key));
    const node = stack.use(
      await machine.start({
        relay: {
          listen: machine.listen,
          advertise: [],
          family: true,
          limits: {
            rate: 1_000_000,
            accounting: { bytes: 400 * MIB, unit: "day" },
          },
        },
        bootstrap: [first.address],
        client: machine.client,
        services: [{ name: "blog", targets: new Map() }],
      }),
    );
    assert.ok(node.client !== undefined && node.relay !== undefined);
    const places = { socks: { host: "127.0.0.1", port: 0 } };
    const parts: NodeParts = {
      network: networkParameters("local"),
      state: { trouble: undefined },
      relay: node.relay,
      client: node.client,
      proxies: stack.use(
        await NodeProxies.open(places, node.client.gateway, runtime),
      ),
    };
    using state = await stateOf(machine);
    await using metrics = await NodeMetrics.open(
      state,
      parts,
      OPTIONS,
      runtime,
    );
    // At once: what the node is. What others do comes with the minute.
    const atOnce = valuesOf(metrics.page());
    assert.equal(atOnce.get('anonnet_hs_reachable{service="blog"}'), 1);
    assert.equal(atOnce.has('anonnet_hs_streams{service="blog"}'), false);
    await sleep(world.clock, 61_000);
    const page = metrics.page();
    const values = valuesOf(page);
    const series = new Set([...values.keys()].map((key) => key.split("{")[0]));
    for (const name of Object.keys(METRIC_FAMILIES) as FamilyName[]) {
      // No circuit of another had to end so far.
      if (name === "anonnet_relay_circuits_ended") continue;
      assert.ok(series.has(seriesName(name)), `no ${name} in:\n${page}`);
    }
    assert.ok(page.endsWith("\n# EOF\n"));
    assert.equal(values.get('anonnet_build_info{version="1.2.3"}'), 1);
    assert.equal(values.get("anonnet_relay_rate_limit_bytes"), 1_000_000);
    const accounting = (rest: string) =>
      values.get(`anonnet_relay_accounting${rest}`) ?? NaN;
    assert.equal(accounting('{state="awake"}'), 1);
    assert.equal(accounting('{state="asleep"}'), 0);
    assert.equal(accounting("_limit_bytes"), 400 * MIB);
    const [used, left] = [
      accounting('_bytes{kind="used"}'),
      accounting('_bytes{kind="left"}'),
    ];
    assert.ok(Math.abs(used + left - 400 * MIB) <= 2 * MIB, `${used} ${left}`);
    const midnight = Math.ceil(world.clock.unixMs() / 86_400_000) * 86_400;
    assert.equal(accounting("_period_end_seconds"), midnight);
    assert.equal(values.get('anonnet_relay_family{kind="members"}'), 1);
    assert.equal(values.get('anonnet_relay_family{kind="strangers"}'), 0);
    assert.equal(values.get('anonnet_role{role="service"}'), 1);
    assert.equal(values.get('anonnet_proxy_open{proxy="http"}'), 0);
    assert.equal(values.get('anonnet_client_guards{state="answering"}'), 2);
    assert.equal(
      values.get('anonnet_client_circuits_state{state="fine"}'),
      1,
    );
    const memory = values.get("anonnet_process_resident_memory_bytes");
    assert.ok(memory === 50 * MIB || memory === 51 * MIB, `${memory}`);
    // No key, no address of a service or of a machine.
    assert.doesNotMatch(
      page,
      /[a-z2-7]{40,}|\.anon|\d+\.\d+\.\d+\.\d+|10\.0\./,
    );
  }));

Deno.test("NodeMetrics keeps what others do out of sight until the minute, and in steps", () =>
  inNodeWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const [first] = await world.relays(5, stack);
    assert.ok(first !== undefined);
    const machine = world.machine();
    const parts: NodeParts = {
      network: networkParameters("local"),
      state: { trouble: undefined },
      relay: first.relay,
    };
    using state = await stateOf(machine);
    await using metrics = await NodeMetrics.open(
      state,
      parts,
      OPTIONS,
      machine.runtime,
    );
    await sleep(world.clock, 61_000);
    const created = 'anonnet_relay_load_onionskins_total{action="processed"}';
    const shown = () => valuesOf(metrics.page()).get(created);
    const before = shown();
    const client = world.machine();
    stack.use(
      await client.start({
        client: client.client,
        bootstrap: [first.address],
      }),
    );
    const { created: reallyCreated } = first.relay.circuits.stats;
    assert.ok(reallyCreated > 0);
    assert.equal(before, 0);
    await sleep(world.clock, 61_000);
    const after = shown();
    assert.ok(after !== undefined && after % 8 === 0, `${after}`);
    const real = first.relay.circuits.stats.created;
    assert.ok(Math.abs(after - real) < 8 + (real - reallyCreated));
  }));

Deno.test("NodeMetrics keeps its token over a restart, in a private file, and says so where it is none", () =>
  inNodeWorld(async (world) => {
    const machine = world.machine();
    const parts: NodeParts = {
      network: networkParameters("local"),
      state: { trouble: undefined },
    };
    const { files, runtime } = machine;
    using state = await stateOf(machine);
    const path = state.pathOf(METRICS_TOKEN);
    const tokens: string[] = [];
    for (let start = 0; start < 2; start++) {
      await using metrics = await NodeMetrics.open(
        state,
        parts,
        OPTIONS,
        runtime,
      );
      assert.match(metrics.page(), /anonnet_role\{role="relay"\} 0\n/);
      tokens.push(new TextDecoder().decode(await files.read(path)));
    }
    assert.match(tokens[0] ?? "", /^[a-z2-7]{52}\n$/);
    assert.equal(tokens[1], tokens[0]);
    assert.equal((await files.facts(path))?.mode, 0o600);
    await state.writeNote(METRICS_TOKEN, "secret\n");
    await assert.rejects(
      NodeMetrics.open(state, parts, OPTIONS, runtime),
      { code: "control.metrics_token" },
    );
  }));

Deno.test("NodeMetrics tells of a clock that is wrong, and of a state directory that is gone", () =>
  inNodeWorld(async (world) => {
    const machine = world.machine();
    using state = await stateOf(machine);
    const parts: NodeParts = { network: networkParameters("local"), state };
    await using metrics = await NodeMetrics.open(
      state,
      parts,
      OPTIONS,
      machine.runtime,
    );
    const value = (series: string) => valuesOf(metrics.page()).get(series);
    assert.equal(value("anonnet_clock_wrong"), 0);
    assert.equal(value("anonnet_state_usable"), 1);
    parts.clockDoubt = "Your clock seems to be 3 h behind";
    assert.equal(value("anonnet_clock_wrong"), 1);
    parts.clockDoubt = undefined;
    assert.equal(value("anonnet_clock_wrong"), 0);
    await removeLock(machine);
    await state.look();
    assert.equal(value("anonnet_state_usable"), 0);
  }));

/** Take its state directory away, as far as a node looks. */
async function removeLock({ files }: Machine): Promise<void> {
  await files.remove("metrics-state/lock");
}
