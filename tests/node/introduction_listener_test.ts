import assert from "node:assert/strict";
import { IntroductionListener } from "../../lib/node/introduction_listener.ts";
import { LATENCY_MS } from "./fake_circuits.ts";
import { inServiceWorld, NEVER } from "./service_world.ts";

const LIMIT = { signal: NEVER };

Deno.test("IntroductionListener.check() waits for some round trips, and for a second at least", () =>
  inServiceWorld(async (world) => {
    const context = world.context();
    using listener = await IntroductionListener.open(
      context,
      [],
      [],
      16,
      () => {},
      LIMIT,
    );
    const startMs = world.clock.nowMs();
    assert.equal(await listener.check(LIMIT), "alive");
    assert.equal(world.clock.nowMs() - startMs, 2 * LATENCY_MS);
    for (const circuit of context.circuits.open) circuit.isSilent = true;
    const silentMs = world.clock.nowMs();
    assert.equal(await listener.check(LIMIT), "silent");
    assert.equal(world.clock.nowMs() - silentMs, 1_000);
  }));

Deno.test("IntroductionListener.check() ends with its signal", () =>
  inServiceWorld(async (world) => {
    const context = world.context();
    using listener = await IntroductionListener.open(
      context,
      [],
      [],
      16,
      () => {},
      LIMIT,
    );
    for (const circuit of context.circuits.open) circuit.isSilent = true;
    const control = new AbortController();
    world.clock.schedule(100, () => control.abort(new Error("enough")));
    await assert.rejects(listener.check(control), /enough/);
  }));
