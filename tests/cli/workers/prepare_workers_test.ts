import assert from "node:assert/strict";
import { prepareWorkers } from "../../../lib/cli/workers/prepare_workers.ts";
import { planWorkers } from "../../../lib/cli/workers/worker_plan.ts";
import { systemRuntime } from "../../../lib/machine/runtime.ts";
import { StateDirectory } from "../../../lib/storage/state_directory.ts";
import { RecordingLog } from "../../support/recording_log.ts";
import { TemporaryDirectory } from "../../support/temporary_directory.ts";
import { OPTIONS } from "../flags/fake_terminal.ts";

const RUNTIME = await systemRuntime(new RecordingLog());

/** Plans of three workers in a directory. */
function plansIn(home: TemporaryDirectory, port = 0) {
  return planWorkers({
    ...OPTIONS,
    state: home.pathOf("state"),
    workers: 3,
    relay: { listen: { host: "127.0.0.1", port }, advertise: [] },
  });
}

/** The family's key in a state directory, in hex. */
async function familyKey(path: string): Promise<string | undefined> {
  using state = await StateDirectory.open(path, {
    ...RUNTIME,
    holder: "test",
    onSetAside: () => {},
  });
  return (await state.keys.read("family"))?.toHex();
}

Deno.test("prepareWorkers() makes one family key, and keeps it ever after", async () => {
  await using home = await TemporaryDirectory.create();
  const plans = plansIn(home);
  const prepared = await prepareWorkers(plans, RUNTIME);
  assert.deepEqual(
    prepared.map(({ network }) => network?.name),
    ["local", "local", "local"],
  );
  const keys = async () =>
    await Promise.all(plans.map(({ state }) => familyKey(state)));
  const made = await keys();
  assert.ok(made[0] !== undefined);
  assert.equal(new Set(made).size, 1);
  await prepareWorkers(plans, RUNTIME);
  assert.deepEqual(await keys(), made);
});

Deno.test("prepareWorkers() refuses a worker that holds the key of another family", async () => {
  await using home = await TemporaryDirectory.create();
  const plans = plansIn(home);
  // Alone, each makes a key of its own.
  for (const plan of plans.slice(0, 2)) await prepareWorkers([plan], RUNTIME);
  await assert.rejects(prepareWorkers(plans, RUNTIME), {
    code: "node.family",
    message: /worker-1\/family\.key.*are different keys/,
  });
});

Deno.test("prepareWorkers() refuses ports of which one is taken, before any key is made", async () => {
  await using home = await TemporaryDirectory.create();
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr;
  const socket = Deno.listenDatagram({
    transport: "udp",
    hostname: "127.0.0.1",
    port,
  });
  using _socket = { [Symbol.dispose]: () => socket.close() };
  const plans = plansIn(home, port - 2);
  await assert.rejects(prepareWorkers(plans, RUNTIME), {
    name: "ConfigError",
    code: "transport.port_in_use",
    message: /Cannot listen on 127.*in a row/,
  });
  assert.equal(await familyKey(home.pathOf("state")), undefined);
});
