import assert from "node:assert/strict";
import { seededRandom } from "../../lib/base/random.ts";
import { VirtualClock } from "../../lib/base/virtual_clock.ts";
import { ControlServer } from "../../lib/control/control_server.ts";
import { SILENT_LOG } from "../../lib/log/log.ts";
import {
  type DashboardPlan,
  NodeDashboard,
} from "../../lib/node/node_dashboard.ts";
import { MemoryFiles } from "../../lib/storage/memory_files.ts";
import { createDrain } from "../../lib/sim/world/drain.ts";

/** A node that has nothing but a control interface. */
function openControl(): ControlServer {
  return new ControlServer({
    place: { type: "tcp", address: { host: "127.0.0.1", port: 0 } },
    token: "t".repeat(52),
    onError(_, error) {
      throw error;
    },
  });
}

function plan(
  control: ControlServer,
  opens: DashboardPlan["opens"],
  port: number,
  urls: string[] = [],
): NodeDashboard {
  return NodeDashboard.plan({
    address: { host: "127.0.0.1", port },
    opens,
    onOpen: (url) => urls.push(url),
  }, {
    control,
    parts: {},
    state: "/state",
    runtime: {
      clock: new VirtualClock({ drain: createDrain() }),
      random: seededRandom(1),
      log: SILENT_LOG,
      files: new MemoryFiles(),
    },
  });
}

/** The address that the command `dashboard` gives. */
async function ask(control: ControlServer): Promise<URL> {
  const { url } = await control.run("dashboard", {}) as { url: string };
  return new URL(url);
}

Deno.test("NodeDashboard opens at once or when asked, and gives each browser its own token", async () => {
  await using first = openControl();
  first.register("services", () => []);
  const urls: string[] = [];
  await using _open = plan(first, "at once", 0, urls);
  assert.equal(urls.length, 1);
  const again = await ask(first);
  assert.equal(again.origin, new URL(urls[0] ?? "").origin);
  assert.notEqual(again.hash, new URL(urls[0] ?? "").hash);

  await using second = openControl();
  second.register("services", () => []);
  const none: string[] = [];
  await using _closed = plan(second, "when asked", 0, none);
  const [one, two] = [await ask(second), await ask(second)];
  assert.equal(one.origin, two.origin);
  assert.notEqual(one.hash, two.hash);
  assert.deepEqual(none, []);
  const page = await fetch(one.origin);
  assert.match(await page.text(), /<title>AnonNet/);
});

Deno.test("NodeDashboard takes another port on request, and at the start says that it is taken", async () => {
  using taken = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = taken.addr;
  await using control = openControl();
  control.register("services", () => []);
  await using _ = plan(control, "when asked", port);
  assert.notEqual((await ask(control)).port, String(port));
  await using other = openControl();
  assert.throws(() => plan(other, "at once", port), {
    code: "dashboard.in_use",
    message: new RegExp(`port ${port} is in use; .*--dashboard-at`),
  });
});
