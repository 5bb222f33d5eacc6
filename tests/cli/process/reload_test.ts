import assert from "node:assert/strict";
import { run } from "../../../lib/cli/main.ts";
import { fakeTerminal } from "../flags/fake_terminal.ts";
import { TemporaryDirectory } from "../../support/temporary_directory.ts";

/** A relay that reads `config`, and what it logs. */
async function relayWith(home: TemporaryDirectory, config: string) {
  const path = home.pathOf("anonnet.toml");
  const lines: string[] = [];
  let awaited: { words: string; found: (line: string) => void } | undefined;
  const look = () => {
    const line = lines.find((line) => line.includes(awaited?.words ?? "\0"));
    if (line !== undefined) awaited?.found(line);
  };
  const terminal = fakeTerminal((bytes) => {
    lines.push(new TextDecoder().decode(bytes));
    look();
    return Promise.resolve();
  });
  const write = (text: string) =>
    Deno.writeTextFile(
      path,
      `network = "local"\nlog-format = "json"\nready-json = true\n${text}`,
    );
  await write(config);
  const state = home.pathOf("state");
  const exit = run([
    ...["relay", "--state", state, "--listen", "127.0.0.1:0"],
    ...["--control", "127.0.0.1:0", "--config", path],
  ], terminal.program);
  await terminal.ready;
  return {
    ...terminal,
    lines,
    exit,
    /** Reload with another file, and give the line that follows with these words. */
    async reload(text: string, words: string): Promise<string> {
      await write(text);
      lines.length = 0;
      const { promise, resolve } = Promise.withResolvers<string>();
      awaited = { words, found: resolve };
      terminal.hangUp();
      return await promise;
    },
    async limits(): Promise<unknown> {
      const asked = fakeTerminal(() => Promise.resolve());
      await run(["status", "--json", "--state", state], asked.program);
      return JSON.parse(await asked.ready).limits;
    },
  };
}

Deno.test("SIGHUP reads the file again: limits and log level change, and the node goes on", async () => {
  await using home = await TemporaryDirectory.create();
  const relay = await relayWith(home, 'rate = "1MB"');
  assert.deepEqual(await relay.limits(), { rate: 1e6 });
  const changed = await relay.reload(
    'rate = "2MB"\naccounting-max = "1GB/day"',
    "was reloaded",
  );
  assert.match(changed, /"changed":"limits"/);
  assert.deepEqual(await relay.limits(), {
    rate: 2e6,
    accounting: { bytes: 1e9, unit: "day" },
  });
  const none = await relay.reload(
    'rate = "2MB"\naccounting-max = "1GB/day"',
    "was reloaded",
  );
  assert.match(none, /"changed":"nothing"/);
  await relay.reload('log-level = "debug"', "was reloaded");
  assert.deepEqual(await relay.limits(), {});
  relay.stop();
  assert.equal(await relay.exit, 0);
});

Deno.test("SIGHUP with a broken file leaves all as it was, and says why", async () => {
  await using home = await TemporaryDirectory.create();
  const relay = await relayWith(home, 'rate = "1MB"');
  for (
    const [broken, why] of [
      ["rate = ", /line 4/],
      ['rate = "1 furlong"', /bytes per second/],
      ['rate = "1kB"', /the least that works is 300000/],
      ['speed = "1MB"', /there is no such setting/],
    ] as const
  ) {
    const line = await relay.reload(broken, "all stays as it was");
    assert.match(line, why);
    assert.deepEqual(await relay.limits(), { rate: 1e6 });
  }
  relay.stop();
  assert.equal(await relay.exit, 0);
});

Deno.test("SIGHUP says what takes a restart, and changes the rest", async () => {
  await using home = await TemporaryDirectory.create();
  const relay = await relayWith(home, 'rate = "1MB"');
  const line = await relay.reload(
    'rate = "3MB"\ncontact = "ops"\nmemory = "64MiB"\ndrain = 5',
    "takes a restart",
  );
  assert.match(line, /"what":"memory, drain, relay"/);
  assert.deepEqual(await relay.limits(), { rate: 3e6 });
  relay.stop();
  assert.equal(await relay.exit, 0);
});
