import assert from "node:assert/strict";
import type { Program } from "../../lib/cli/flags/command.ts";
import { run } from "../../lib/cli/main.ts";
import { MemoryFiles } from "../../lib/storage/memory_files.ts";

const SMALL = ["--relays=12", "--hours=0.1", "--world=machines"];

function simulate(...args: readonly string[]) {
  return simulateIn(new MemoryFiles(), ...args);
}

async function simulateIn(files: MemoryFiles, ...args: readonly string[]) {
  const printed: string[] = [];
  const told: string[] = [];
  const program: Program = {
    files,
    terminal: {
      print: (line) => printed.push(line),
      tell: (line) => told.push(line),
      show: () => {},
      read: () => Promise.resolve(""),
      log: () => Promise.resolve(),
      nowMs: () => 0,
      onStop(onSignal) {
        onSignal();
        return { [Symbol.dispose]() {} };
      },
      quit: () => assert.fail(),
    },
  };
  const code = await run(["simulate", ...args], program);
  return { code, printed, told };
}

Deno.test("anonnet simulate prints a table, and tells how far it is", async () => {
  const { code, printed, told } = await simulate(...SMALL);
  assert.equal(code, 0);
  assert.equal(printed.length, 3);
  assert.match(printed[0] ?? "", /RELAYS.*LOOK-UPS.*FOUND/);
  assert.match(printed[2] ?? "", /^ *ALL/);
  assert.ok(told.length > 5 && told.length <= 10);
  assert.match(told.at(-1) ?? "", /^(\d+) of \1 virtual minutes$/);
});

Deno.test("anonnet simulate --json prints one object, the same bytes for the same seed", async () => {
  const args = [...SMALL, "--json", "--evil=25%", "--churn=1"];
  const first = await simulate(...args, "--seed=7");
  const second = await simulate(...args, "--seed=7");
  const other = await simulate(...args, "--seed=8");
  assert.deepEqual(first.printed, second.printed);
  assert.notDeepEqual(first.printed, other.printed);
  const [text = ""] = first.printed;
  const { experiment, rows, total } = JSON.parse(text);
  assert.deepEqual(
    [experiment.relays, experiment.evil, experiment.churn, experiment.seed],
    [12, 0.25, 1, 7],
  );
  assert.equal(total.hostile, 3);
  assert.equal(rows.length, 1);
});

Deno.test("anonnet simulate --listed keeps lists short, and look-ups right", async () => {
  const args = ["--relays=60", "--hours=0.05", "--world=machines", "--json"];
  const { printed: [text = ""] } = await simulate(...args, "--listed=50");
  const { experiment, total } = JSON.parse(text);
  assert.equal(experiment.maxRelays, 50);
  assert.ok(total.listed < 0.9 && total.nodeLookups.found > 0.99);
});

Deno.test("anonnet simulate --listed is refused where whole nodes are simulated", async () => {
  const { code, printed, told } = await simulate("--listed=200");
  assert.deepEqual([code, printed], [1, []]);
  assert.match(told.join("\n"), /add --world machines/);
});

Deno.test("anonnet simulate --flood, --liars and --botnet besiege the machines of a network", async () => {
  const siege = ["--flood=2", "--liars=25%", "--botnet=0.5"];
  const args = ["--relays=12", "--hours=0.1", ...siege];
  const { code, printed } = await simulate(...args);
  assert.equal(code, 0);
  assert.match(
    printed[0] ?? "",
    /INVENTED +GUARD +LAST HOP +BOTH ENDS.*REAL +JOINED/,
  );
  const { printed: [text = ""] } = await simulate(...args, "--json");
  const { experiment, total } = JSON.parse(text);
  assert.deepEqual(
    [experiment.world, experiment.siege],
    ["machines", { flood: 2, liars: 0.25, botnet: 0.5 }],
  );
  // 3 boast, 1 invents; 8 honest ones are told of 16, and half of a bot comes in 3 h.
  assert.deepEqual(
    [total.siege.told, total.siege.bots, total.hostile],
    [16, 1, 5],
  );
});

Deno.test("anonnet simulate with a siege of 0 is as without", async () => {
  const without = await simulate(...SMALL);
  const none = await simulate(...SMALL, "--flood=0", "--liars=0", "--botnet=0");
  assert.deepEqual(none.printed, without.printed);
});

const WRONG: readonly (readonly [string, RegExp])[] = [
  ["--relays=9", /write a whole number from 10/],
  ["--relays=1e9", /whole number/],
  ["--relays=-20", /whole number/],
  ["--evil=0.95", /write a share from 0 to 0\.9/],
  ["--evil=120%", /share/],
  ["--evil=x", /such as 0\.2 or 20%/],
  ["--evil-kinds=dropper,angel", /write one of dropper/],
  ["--evil-kinds=", /write one of dropper/],
  ["--churn=-1", /share/],
  ["--hours=0", /hours above 0/],
  ["--hours=9999", /hours/],
  ["--seed=4294967296", /whole number/],
  ["--seed=0x10", /whole number/],
  ["--world=real", /write one of nodes, machines/],
  ["--loss=1", /share from 0 to 0\.5/],
  ["--listed=49", /whole number from 50/],
  ["--flood=-1", /whole number from 0 to 1000/],
  ["--flood=1.5", /whole number/],
  ["--flood=1001", /whole number/],
  ["--flood=x", /Cannot .*--flood/],
  ["--liars=91%", /write a share from 0 to 0\.9/],
  ["--liars=many", /such as 0\.2 or 20%/],
  ["--botnet=-1", /write a number from 0 to 100/],
  ["--botnet=1e2", /such as 3 or 0\.5/],
  ["--botnet=101", /number from 0 to 100/],
  ["--world=nodes --flood=2", /leave --world nodes out/],
  ["--world=nodes --liars=0.1", /leave --world nodes out/],
  ["--world=nodes --botnet=1", /leave --world nodes out/],
  ["--evil=0.5 --liars=0.5", /--evil and --liars together/],
];

for (const [flags, message] of WRONG) {
  Deno.test(`anonnet simulate ${flags} is wrong usage`, async () => {
    const { code, printed, told } = await simulate(...flags.split(" "));
    assert.deepEqual([code, printed], [2, []]);
    assert.match(told.join("\n"), message);
  });
}

Deno.test("anonnet simulate --svg draws into a new file, the same bytes for the same seed", async () => {
  const files = new MemoryFiles();
  const draw = (path: string) =>
    simulateIn(files, ...SMALL, "--every=2", `--svg=${path}`);
  assert.equal((await draw("/one.svg")).code, 0);
  assert.equal((await draw("/two.svg")).code, 0);
  const one = new TextDecoder().decode(await files.read("/one.svg"));
  assert.match(one, /^<svg [^]*<path class="line a" d="M[^]*<\/svg>\n$/);
  assert.deepEqual(await files.read("/two.svg"), await files.read("/one.svg"));
  const { code, told } = await draw("/one.svg");
  assert.equal(code, 1);
  assert.match(told.join("\n"), /there is|exists/);
});

Deno.test("anonnet simulate --watch serves a page while it runs, until it is told to stop", async () => {
  const { code, printed, told } = await simulate(...SMALL, "--watch");
  assert.equal(code, 0);
  assert.equal(printed.length, 3);
  assert.match(
    told[1] ?? "",
    /^ +http:\/\/127\.0\.0\.1:[0-9]+\/#[a-z2-7]{52}$/,
  );
  assert.match(told.at(-1) ?? "", /until this command is stopped/);
});

Deno.test("anonnet simulate --watch-at is refused for an address that other machines reach", async () => {
  const { code, told } = await simulate(
    ...SMALL,
    "--watch",
    "--watch-at=0.0.0.0:0",
  );
  assert.equal(code, 2);
  assert.match(told.join("\n"), /this machine/);
});
