/** What was kept of long runs, and that the fuzzer finds what is wrong. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { utf8Text } from "../../lib/base/bytes.ts";
import { ProtocolError } from "../../lib/base/errors.ts";
import { ALL_TARGETS } from "./all_targets.ts";
import { readCorpus, readFindings } from "./corpus.ts";
import { Dice } from "./dice.ts";
import { Executor } from "./execution.ts";
import {
  type FuzzInput,
  type FuzzTarget,
  inputBytes,
  promise,
} from "./fuzz_target.ts";
import { Fuzzer, type NewCode } from "./fuzzer.ts";
import { mutateInput } from "./mutation.ts";

/** Bytes of a target's kept inputs that are run beside the other tests: the shortest ones. */
const QUICK_BYTES = 3000;
/** The same, where each input has a whole world of its own. */
const QUICK_INPUTS = 3;
/** Targets that may take so long have one, ms. */
const WORLD_MS = 1000;

const UNSEEN: NewCode = {
  before: () => Promise.resolve(),
  after: () => Promise.resolve(false),
};

/** The shortest of some inputs. */
function quickest(
  { cpu }: FuzzTarget,
  inputs: Iterable<FuzzInput>,
): FuzzInput[] {
  const sorted = [...inputs].sort((a, b) => inputBytes(a) - inputBytes(b));
  if (cpu.baseMs >= WORLD_MS) return sorted.slice(0, QUICK_INPUTS);
  let sum = 0;
  return sorted.filter((input) => (sum += inputBytes(input)) <= QUICK_BYTES);
}

for (const target of ALL_TARGETS) {
  Deno.test(`${target.name} bears what long fuzzing kept`, async () => {
    using executor = new Executor({ costs: "ignored" });
    const seeds = await target.seeds();
    assert.ok(seeds.length > 0, "it has no honest runs");
    for (
      const input of [
        ...quickest(target, seeds),
        ...quickest(target, readCorpus(target.name).values()),
      ]
    ) {
      const { finding } = await executor.run(target, input);
      assert.equal(finding, undefined);
    }
  });
}

for (const { target: name, about, input } of readFindings()) {
  Deno.test(`fuzzing found once, of ${name}: ${about}`, async () => {
    using executor = new Executor({ costs: "ignored" });
    const target = ALL_TARGETS.find((target) => target.name === name);
    assert.ok(target !== undefined, `there is no target ${name}`);
    const { finding } = await executor.run(target, input);
    assert.equal(finding, undefined);
  });
}

Deno.test("names of targets are words and different, and each says what it is", () => {
  const names = ALL_TARGETS.map(({ name }) => name);
  assert.equal(new Set(names).size, names.length);
  for (const { name, about } of ALL_TARGETS) {
    assert.match(name, /^[a-z]+\/[a-z0-9_]+$/);
    assert.ok(about.length > 10, name);
  }
});

/** A target that is wrong in a way of its own. */
function wrong(run: FuzzTarget["run"]): FuzzTarget {
  return {
    name: "test/wrong",
    about: "a target that is wrong in one way",
    hasSteps: false,
    allowed: ["wire"],
    cpu: { baseMs: 3, perKibMs: 1 },
    seeds: () => [[Uint8Array.of(1, 2, 3, 4)], [new Uint8Array(40)]],
    run,
  };
}

/** What is found of a target in so many steps; `undefined` for nothing. */
async function foundIn(
  target: FuzzTarget,
  steps: number,
  costs: "counted" | "ignored" = "ignored",
): Promise<string | undefined> {
  using executor = new Executor({ costs });
  const fuzzer = await Fuzzer.start(target, executor, UNSEEN, 1);
  for (let step = 0; step < steps && fuzzer.found.length === 0; step++) {
    await fuzzer.step();
  }
  return fuzzer.found[0]?.what;
}

Deno.test("Fuzzer finds nothing of a target that keeps its promises", async () => {
  const found = await foundIn(
    wrong(([bytes = new Uint8Array()]) => {
      if (bytes.length % 2 === 0) throw new ProtocolError("wire.odd", "Odd");
      return `${bytes[0]}`;
    }),
    300,
  );
  assert.equal(found, undefined);
});

Deno.test("Fuzzer finds an error of the language behind one byte", async () => {
  const found = await foundIn(
    wrong(([bytes = new Uint8Array()]) => {
      if (bytes[1] === 0xff) new DataView(bytes.buffer).getUint32(bytes.length);
      return `${bytes[1]}`;
    }),
    3000,
  );
  assert.match(found ?? "", /^RangeError/);
});

Deno.test("Fuzzer finds an error whose code is not allowed", async () => {
  const found = await foundIn(
    wrong(([bytes = new Uint8Array()]) => {
      if (bytes.length > 60) throw new ProtocolError("dht.long", "Too long");
      return "short";
    }),
    3000,
  );
  assert.match(found ?? "", /^ProtocolError dht\.long/);
});

Deno.test("Fuzzer finds a broken promise", async () => {
  const found = await foundIn(
    wrong(([bytes = new Uint8Array()]) => {
      promise(bytes.length < 60, "nothing is longer than 60 bytes");
      return "short";
    }),
    3000,
  );
  assert.match(found ?? "", /nothing is longer than 60 bytes/);
});

Deno.test("Fuzzer finds a rejection that no code heeds", async () => {
  const found = await foundIn(
    wrong(async ([bytes = new Uint8Array()]) => {
      if (bytes.length > 60) void Promise.reject(new TypeError("unheard"));
      return await Promise.resolve("a value");
    }),
    3000,
  );
  assert.match(found ?? "", /not handled: TypeError: unheard/);
});

Deno.test("Fuzzer finds what takes processor time beyond its length", async () => {
  const found = await foundIn(
    wrong(([bytes = new Uint8Array()]) => {
      let sum = 0;
      const turns = bytes.length > 60 ? 4_000_000 : 1;
      for (let turn = 0; turn < turns; turn++) sum = (sum * 31 + turn) | 0;
      return `${sum === 7}`;
    }),
    200,
    "counted",
  );
  assert.match(found ?? "", /ms of processor time/);
});

Deno.test("Executor finds an input that takes far more memory than it is worth", async () => {
  using executor = new Executor({ costs: "counted", baseAllocation: 2 ** 20 });
  const held: number[][] = [];
  const target = wrong(() => {
    held.push(new Array<number>(3 * 2 ** 20).fill(1.5));
    return `${held.length}`;
  });
  const { finding } = await executor.run(
    { ...target, cpu: { baseMs: 60_000, perKibMs: 0 } },
    [Uint8Array.of(1)],
  );
  assert.match(finding ?? "", /bytes of memory/);
});

Deno.test("Watchdog ends a process whose input never ends, and says which target it was", async () => {
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      "--allow-read",
      "--allow-run",
      fileURLToPath(new URL("hanging_process.ts", import.meta.url)),
    ],
  }).output();
  assert.equal(success, false);
  assert.match(
    utf8Text(stdout),
    /^FOUND test\/hanging: run \d+ of the process never ends/,
  );
});

Deno.test("mutateInput() gives the same inputs for the same seed, and others for another", () => {
  const inputs = [
    [Uint8Array.of(0xa1, 0x61, 0x61, 0x18, 0x64)],
    [new Uint8Array(30)],
  ];
  const run = (seed: number) => {
    const dice = new Dice(seed);
    return Array.from(
      { length: 200 },
      () => mutateInput(inputs, false, dice).map((bytes) => bytes.toHex()),
    );
  };
  assert.deepEqual(run(1), run(1));
  assert.notDeepEqual(run(1), run(2));
});
