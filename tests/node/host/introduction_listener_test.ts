import assert from "node:assert/strict";
import { AVOID_NOTHING } from "../../../lib/path/path_avoid.ts";
import { IntroductionListener } from "../../../lib/node/host/introduction_listener.ts";
import { sleep } from "../../../lib/base/clock.ts";
import { type FakeCircuits, LATENCY_MS } from "../circuit/fake_circuits.ts";
import {
  inServiceWorld,
  NEVER,
  type ServiceWorld,
} from "../session/service_world.ts";

const LIMIT = { signal: NEVER };

/** A listener, and the node that it is of. */
async function open(world: ServiceWorld) {
  const context = world.context();
  const sealed: Uint8Array[] = [];
  const listener = await IntroductionListener.open(
    context,
    [],
    AVOID_NOTHING,
    16,
    (_listener, bytes) => sealed.push(bytes),
    LIMIT,
  );
  const relay = world.network.relay(listener.relay.nodeId) ??
    assert.fail("no such relay");
  const { circuits } = context;
  return { listener, relay, sealed, circuits, open: circuits.open };
}

Deno.test("IntroductionListener.check() waits for some round trips, and for a second at least", () =>
  inServiceWorld(async (world) => {
    const { listener, open: circuits } = await open(world);
    const startMs = world.clock.nowMs();
    assert.equal(await listener.check(LIMIT), "alive");
    assert.equal(world.clock.nowMs() - startMs, 2 * LATENCY_MS);
    for (const circuit of circuits) circuit.isSilent = true;
    const silentMs = world.clock.nowMs();
    assert.equal(await listener.check(LIMIT), "silent");
    assert.equal(world.clock.nowMs() - silentMs, 1_000);
  }));

Deno.test("IntroductionListener.check() ends with its signal", () =>
  inServiceWorld(async (world) => {
    const { listener, open: circuits } = await open(world);
    for (const circuit of circuits) circuit.isSilent = true;
    const control = new AbortController();
    world.clock.schedule(100, () => control.abort(new Error("enough")));
    await assert.rejects(listener.check(control), /enough/);
  }));

Deno.test("IntroductionListener.move() reaches the same point by another circuit, under the same keys", () =>
  inServiceWorld(async (world) => {
    const { listener, relay, open: circuits } = await open(world);
    const [before] = circuits;
    const { authentication } = listener.keys.public;
    for (const end of ["silent", "gone"] as const) {
      const [circuit] = circuits;
      if (end === "gone") circuit?.end();
      else for (const each of circuits) each.isSilent = true;
      assert.equal(await listener.move(LIMIT), "moved");
      assert.deepEqual(listener.keys.public.authentication, authentication);
      assert.equal(relay.introductions.size, 1);
      assert.equal(circuits.size, 1, "the one before is closed");
      assert.equal(await listener.check(LIMIT), "alive");
    }
    assert.ok(before !== undefined && !circuits.has(before));
    listener[Symbol.dispose]();
    await sleep(world.clock, 1_000);
    assert.equal(relay.introductions.size, 0);
  }));

Deno.test("IntroductionListener.move() gives up on a point that is dead, and leaves nothing behind", () =>
  inServiceWorld(async (world) => {
    const { listener, relay, open: circuits } = await open(world);
    relay.kill();
    const startMs = world.clock.nowMs();
    assert.equal(await listener.move(LIMIT), "lost");
    assert.ok(world.clock.nowMs() - startMs <= 5_000);
    assert.equal(circuits.size, 0);
  }));

Deno.test("IntroductionListener takes no point for dead where all is slow", () =>
  inServiceWorld(async (world) => {
    const { listener, relay, circuits, open: all } = await open(world);
    circuits.buildMs = 3_000;
    circuits.pressure = "crowded";
    for (const circuit of all) circuit.isSilent = true;
    const silentMs = world.clock.nowMs();
    assert.equal(await listener.check(LIMIT), "silent");
    assert.equal(world.clock.nowMs() - silentMs, 9_000);
    // Three tries in vain say nothing of the point.
    const take: FakeCircuits["take"] = circuits.take.bind(circuits);
    let tries = 0;
    circuits.take = async (wish) => {
      const circuit = await take(wish);
      if (++tries > 3) return circuit;
      for (const each of all) each.isSilent = true;
      return circuit;
    };
    assert.equal(await listener.move(LIMIT), "moved");
    assert.equal(tries, 4);
    assert.equal(relay.introductions.size, 1);
  }));

Deno.test("IntroductionListener.move() ends with its signal, and when it is disposed of", () =>
  inServiceWorld(async (world) => {
    const { listener, open: circuits } = await open(world);
    const control = new AbortController();
    const moving = assert.rejects(listener.move(control), /enough/);
    control.abort(new Error("enough"));
    await moving;
    const late = listener.move(LIMIT);
    listener[Symbol.dispose]();
    assert.equal(await late, "lost");
    assert.equal(circuits.size, 0);
  }));
