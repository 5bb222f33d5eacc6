import assert from "node:assert/strict";
import { runProcess } from "../../../lib/cli/process/process.ts";
import type { TorControlPlan } from "../../../lib/node/node_tor_control.ts";
import { ServiceManager } from "../../../lib/cli/process/service_manager.ts";
import { fakeTerminal } from "../flags/fake_terminal.ts";
import { managerSocket } from "../../support/manager_socket.ts";
import { RecordingLog } from "../../support/recording_log.ts";
import { TemporaryDirectory } from "../../support/temporary_directory.ts";

// systemd, and so such a manager, is there on Linux alone.
const ignore = Deno.build.os !== "linux";

Deno.test({
  name: "ServiceManager tells a socket with a path, in order",
  ignore,
  async fn() {
    await using home = await TemporaryDirectory.create();
    using socket = managerSocket(home.pathOf("notify"));
    const log = new RecordingLog();
    await using manager = new ServiceManager(socket.name, log);
    for (const state of ["ready", "reloading", "stopping"] as const) {
      manager.tell(state);
    }
    assert.match(await socket.next(), /^READY=1\nSTATUS=/);
    assert.match(await socket.next(), /^RELOADING=1\n/);
    assert.match(await socket.next(), /^STOPPING=1\n/);
    assert.deepEqual(log.lines, []);
  },
});

Deno.test({
  name: "ServiceManager tells a socket with an abstract name",
  ignore,
  async fn() {
    using socket = managerSocket(`@anonnet-test-${crypto.randomUUID()}`);
    await using manager = new ServiceManager(socket.name, new RecordingLog());
    manager.tell("ready");
    assert.match(await socket.next(), /^READY=1\n/);
  },
});

Deno.test("ServiceManager says once that no socket takes what it says, and nothing where there is none", async () => {
  await using home = await TemporaryDirectory.create();
  for (const [name, lines] of [[home.pathOf("none"), 1], ["", 0]] as const) {
    const log = new RecordingLog();
    const manager = new ServiceManager(name, log);
    manager.tell("ready");
    manager.tell("stopping");
    await manager[Symbol.asyncDispose]();
    assert.equal(log.lines.length, lines);
  }
});

Deno.test({
  name:
    "runProcess() tells the manager that it is ready, reads its file again, and stops",
  ignore,
  async fn() {
    await using home = await TemporaryDirectory.create();
    using socket = managerSocket(home.pathOf("notify"));
    const terminal = fakeTerminal(() => Promise.resolve());
    const reloaded = Promise.withResolvers<void>();
    const started = Promise.withResolvers<void>();
    const running = runProcess(terminal.program, {
      logLevel: "info",
      logFormat: "json",
      notify: socket.name,
    }, {
      async start() {
        await started.promise;
        return { [Symbol.asyncDispose]: () => Promise.resolve() };
      },
      reload: () => reloaded.promise,
      async use(_started, stopped) {
        await stopped;
        return 0;
      },
    });
    started.resolve();
    assert.match(await socket.next(), /^READY=1\n/);
    terminal.hangUp();
    assert.match(await socket.next(), /^RELOADING=1\n/);
    reloaded.reject(new TypeError("a broken file"));
    assert.match(await socket.next(), /^READY=1\n/);
    terminal.stop();
    assert.match(await socket.next(), /^STOPPING=1\n/);
    assert.equal(await running, 0);
  },
});

Deno.test("runProcess() stops and reads its file again where something within wishes it", async () => {
  const terminal = fakeTerminal(() => Promise.resolve());
  const reloaded = Promise.withResolvers<void>();
  const wishes = Promise.withResolvers<TorControlPlan["wishes"]>();
  const running = runProcess(terminal.program, {
    logLevel: "info",
    logFormat: "json",
  }, {
    start(_log, _signal, _tail, given) {
      wishes.resolve(given);
      return Promise.resolve({
        [Symbol.asyncDispose]: () => Promise.resolve(),
      });
    },
    reload() {
      reloaded.resolve();
      return Promise.resolve();
    },
    async use(_started, stopped) {
      await stopped;
      return 0;
    },
  });
  const { stop, reload } = await wishes.promise;
  assert.ok(reload());
  await reloaded.promise;
  stop();
  stop();
  assert.equal(await running, 0);
});
