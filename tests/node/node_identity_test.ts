import assert from "node:assert/strict";
import { customNetwork } from "../../lib/auth/network.ts";
import { placeOf } from "../../lib/auth/proof_of_work.ts";
import { loadIdentity, loadWork } from "../../lib/node/node_identity.ts";
import { loadServiceIdentity } from "../../lib/node/host/service_keys.ts";
import { StateDirectory } from "../../lib/storage/state_directory.ts";
import { inNodeWorld, type Machine, NodeWorld } from "./node_world.ts";
import { SystemClock } from "../../lib/machine/system_clock.ts";

const NETWORK = customNetwork({
  name: "test",
  powDifficulty: 2,
  allowPrivateAddresses: true,
});

function open({ runtime: { files, crypto } }: Machine) {
  return StateDirectory.open("state", {
    files,
    crypto,
    holder: "test",
    onSetAside: () => {},
  });
}

Deno.test("loadIdentity() makes one identity and keeps it", () =>
  inNodeWorld(async (world) => {
    const machine = world.machine();
    using state = await open(machine);
    const first = await loadIdentity(state, machine.runtime);
    const again = await loadIdentity(state, machine.runtime);
    assert.deepEqual(again.publicKey, first.publicKey);
    const names = await machine.files.list("state");
    assert.deepEqual(names.filter((name) => name.endsWith(".key")), [
      "identity.key",
    ]);
  }));

Deno.test("loadIdentity() makes none when the disk does not take it", () =>
  inNodeWorld(async (world) => {
    const machine = world.machine();
    using state = await open(machine);
    const { create } = machine.files;
    machine.files.create = () => Promise.reject(new Error("full"));
    await assert.rejects(loadIdentity(state, machine.runtime), {
      code: "storage.io",
    });
    machine.files.create = create;
    await loadIdentity(state, machine.runtime);
  }));

Deno.test("loadWork() finds work once, and keeps it for this identity and network", async () => {
  const machine = new NodeWorld().machine();
  const runtime = { ...machine.runtime, clock: new SystemClock() };
  using state = await open(machine);
  const identity = await loadIdentity(state, runtime);
  const work = await loadWork(state, NETWORK, identity, runtime);
  const { crypto } = runtime;
  assert.deepEqual(
    await placeOf(crypto, 2, identity.publicKey, work.workNonce),
    work.place,
  );
  assert.deepEqual(await loadWork(state, NETWORK, identity, runtime), work);

  // Work that is not this identity's is found anew.
  await state.blobs.write("work-test", new Uint8Array(15));
  const other = await loadWork(state, NETWORK, identity, runtime);
  assert.deepEqual(
    await placeOf(crypto, 2, identity.publicKey, other.workNonce),
    other.place,
  );
});

Deno.test("loadWork() gives up when told to", async () => {
  const machine = new NodeWorld().machine();
  const hard = customNetwork({ ...NETWORK, powDifficulty: 32 });
  using state = await open(machine);
  const identity = await loadIdentity(state, machine.runtime);
  const stop = new AbortController();
  const reason = new Error("stop");
  const runtime = {
    ...machine.runtime,
    random: {
      bytes(length: number) {
        stop.abort(reason);
        return new Uint8Array(length);
      },
    },
    clock: new SystemClock(),
  };
  await assert.rejects(
    loadWork(state, hard, identity, runtime, { signal: stop.signal }),
    reason,
  );
});

Deno.test("loadIdentity() names the file to keep, and loadWork() says how long it takes, in words", async () => {
  const machine = new NodeWorld().machine();
  const stop = new AbortController();
  const reason = new Error("stop");
  const runtime = { ...machine.runtime, clock: new SystemClock() };
  using state = await open(machine);
  const identity = await loadIdentity(state, runtime);
  await loadServiceIdentity(state, "web", runtime);
  runtime.random = {
    bytes(length: number) {
      stop.abort(reason);
      return new Uint8Array(length);
    },
  };
  for (const powDifficulty of [8, 12, 16, 20]) {
    const network = customNetwork({ ...NETWORK, powDifficulty });
    const options = { signal: stop.signal };
    await assert.rejects(
      loadWork(state, network, identity, runtime, options),
      reason,
    );
  }
  const { lines } = machine.log;
  assert.deepEqual(
    lines.map(({ message, fields }) => [message.split(";")[0], fields]),
    [
      ["Made a new identity", { file: "state/identity.key" }],
      ["Made the key of a service", {
        name: "web",
        file: "state/service-web.key",
      }],
      ...[
        "some seconds on one core",
        "about a minute on one core",
        "about 11 minutes on one core",
        "about 3 hours on one core",
      ].map((takes) => ["Working to prove the identity", { takes }]),
    ],
  );
});
