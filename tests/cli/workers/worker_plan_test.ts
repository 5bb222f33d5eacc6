import assert from "node:assert/strict";
import type { RunOptions } from "../../../lib/cli/process/run_node.ts";
import { planWorkers } from "../../../lib/cli/workers/worker_plan.ts";
import { OPTIONS } from "../flags/fake_terminal.ts";

const at = (port: number) => ({ host: "192.0.2.1", port });

function wish(more: Partial<RunOptions> = {}): RunOptions {
  return { ...OPTIONS, state: "state/", workers: 3, control: "state", ...more };
}

Deno.test("planWorkers() leaves one worker as it is", () => {
  const options = wish({
    workers: 1,
    relay: { ...OPTIONS.relay, family: false },
  });
  const [only, ...others] = planWorkers(options);
  assert.equal(others.length, 0);
  assert.equal(only?.state, "state/");
  assert.equal(only?.relay, options.relay);
  assert.equal(only?.logName, undefined);
});

Deno.test("planWorkers() counts ports and state directories up, and makes all one family", () => {
  const plans = planWorkers(wish({
    relay: { listen: at(4001), advertise: [at(5001), at(6001)] },
    control: { host: "127.0.0.1", port: 9000 },
    metrics: { host: "127.0.0.1", port: 0 },
    dashboard: { address: { host: "127.0.0.1", port: 9290 }, opens: "at once" },
    stopWithParent: true,
    notify: "@socket",
  }));
  assert.deepEqual(
    plans.map(({ state, relay }) => [state, relay?.listen.port, relay?.family]),
    [
      ["state/", 4001, true],
      ["state/worker-1", 4002, true],
      ["state/worker-2", 4003, true],
    ],
  );
  assert.deepEqual(plans[2]?.relay?.advertise, [at(5003), at(6003)]);
  assert.deepEqual(plans[2]?.control, { host: "127.0.0.1", port: 9002 });
  assert.equal(plans[2]?.metrics?.port, 0);
  assert.deepEqual(plans.map(({ dashboard }) => dashboard?.opens), [
    "at once",
    "when asked",
    "when asked",
  ]);
  assert.equal(plans[1]?.dashboard?.address.port, 9291);
  for (const plan of plans) {
    assert.equal(plan.notify, undefined);
    assert.equal(plan.stopWithParent, undefined);
    // What crosses to a thread must be data.
    assert.deepEqual(structuredClone(plan), plan);
  }
});

Deno.test("planWorkers() gives each a share of what is given, and no more in all", () => {
  const plans = planWorkers(wish({
    relay: {
      listen: at(0),
      advertise: [],
      bandwidth: 2,
      limits: {
        rate: 1_000_000,
        burst: 200_000,
        maxCircuits: 1000,
        memory: 100_000_000,
        accounting: { unit: "day", bytes: 1e12 },
      },
    },
  }));
  for (const { relay } of plans) {
    assert.equal(relay?.bandwidth, 1);
    assert.deepEqual(relay.limits, {
      rate: 333_333,
      burst: 66_666,
      maxCircuits: 333,
      memory: 33_333_333,
      accounting: { unit: "day", bytes: 333_333_333_333 },
    });
  }
  const [free] = planWorkers(wish());
  assert.equal(free?.relay?.limits?.rate, undefined);
  assert.equal(free?.relay?.limits?.memory, undefined);
});

const WRONG:
  readonly (readonly [string, Partial<RunOptions>, string, RegExp])[] = [
    [
      "a role that needs one process",
      { client: { dialFrom: at(0), hops: 3 } },
      "cli.workers",
      /process of their own/,
    ],
    ["no relay", { relay: undefined }, "cli.workers", /only relays/],
    [
      "ports past the last one",
      { relay: { listen: at(65_534), advertise: [] } },
      "cli.workers",
      /--listen port 65534: worker 2 would have port 65536/,
    ],
    [
      "advertised ports past the last one",
      { relay: { listen: at(4001), advertise: [at(65_535)] } },
      "cli.workers",
      /--advertise port 65535: worker 1/,
    ],
    [
      "advertised ports where any is listened on",
      { relay: { listen: at(0), advertise: [at(4001)] } },
      "cli.workers",
      /give --listen a port/,
    ],
    [
      "a share that is too small",
      { relay: { listen: at(0), advertise: [], limits: { rate: 600_000 } } },
      "node.limit",
      /among 3 workers: each could not use --rate 200000: the least/,
    ],
  ];

for (const [what, more, code, message] of WRONG) {
  Deno.test(`planWorkers() refuses ${what}`, () => {
    assert.throws(() => planWorkers(wish(more)), {
      name: "ConfigError",
      code,
      message,
    });
  });
}
