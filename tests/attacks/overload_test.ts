/**
 * So much is asked of a relay that its thread falls behind: those whom it serves already
 * must not pay for those who come on top.
 *
 * @see protocol §3.1 "Transport" and §3.6 "Limits"
 * @module
 */
import assert from "node:assert/strict";
import type { Clock, Timer } from "../../lib/base/clock.ts";
import { sleep } from "../../lib/base/clock.ts";
import { LOOKS } from "../../lib/link/load_meter.ts";
import type { Link } from "../../lib/node/link/link.ts";
import { LOOK_MS } from "../../lib/node/link/load_watch.ts";
import { inNodeWorld } from "../node/node_world.ts";

/** A clock whose wake-ups come late, as where a thread is behind. */
class LateClock implements Clock {
  lateMs = 0;
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  nowMs(): number {
    return this.#clock.nowMs();
  }

  unixMs(): number {
    return this.#clock.unixMs();
  }

  schedule(delayMs: number, wake: () => void): Timer {
    return this.#clock.schedule(delayMs + this.lateMs, wake);
  }
}

/** Begin a circuit and say nothing on it. @returns Whether the peer took it. */
async function isCircuitTaken(link: Link, clock: Clock): Promise<boolean> {
  const stream = await link.openCircuit();
  let isOver = false;
  // A stream is seen with its first bytes; a whole cell has more.
  await stream.write(new Uint8Array(8)).catch(() => isOver = true);
  const ended = stream.read(new Uint8Array(1)).then(
    () => isOver = true,
    () => isOver = true,
  );
  await sleep(clock, LOOK_MS);
  const isTaken = !isOver;
  stream.cancel();
  await ended;
  return isTaken;
}

Deno.test("a relay whose thread is behind takes no new links and circuits, answers whom it knows, and recovers", () =>
  inNodeWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const clock = new LateClock(world.clock);
    const pressed = stack.use(await world.machine(clock).startRelay());
    const bootstrap = [pressed.address];
    const known = stack.use(await world.machine().startRelay({ bootstrap }));
    const newcomer = stack.use(await world.machine().startRelay());
    const peer = {
      publicKey: pressed.relay.identity.publicKey,
      addresses: [pressed.address.address],
    };
    const link = await known.relay.links.getOrDial(peer);
    assert.equal(await isCircuitTaken(link, world.clock), true);

    clock.lateMs = 2_000;
    for (let look = 0; look < LOOKS; look++) {
      assert.equal(await isCircuitTaken(link, world.clock), true);
      await sleep(world.clock, LOOK_MS + clock.lateMs);
    }
    assert.equal(pressed.relay.links.load, "overloaded");
    assert.equal(await isCircuitTaken(link, world.clock), false);
    await assert.rejects(newcomer.relay.links.getOrDial(peer), {
      code: "link.dial_timeout",
    });
    await link.request("link.ping");
    assert.equal(link.isOpen, true);

    clock.lateMs = 0;
    await sleep(world.clock, (LOOKS + 1) * LOOK_MS + 2_000);
    assert.equal(pressed.relay.links.load, "normal");
    assert.equal(await isCircuitTaken(link, world.clock), true);
    await newcomer.relay.links.getOrDial(peer);
  }));
