import assert from "node:assert/strict";
import type { Clock, Timer } from "../../lib/base/clock.ts";
import {
  type NetworkChange,
  NetworkWatch,
} from "../../lib/machine/network_watch.ts";

/** A clock whose timers fire when they are told to. */
class HandClock implements Clock {
  now = 1_000;
  unix = 5_000_000;
  #wake: (() => void) | undefined;

  nowMs(): number {
    return this.now;
  }

  unixMs(): number {
    return this.unix;
  }

  schedule(_delayMs: number, wake: () => void): Timer {
    assert.equal(this.#wake, undefined, "one timer at a time");
    this.#wake = wake;
    return { cancel: () => void (this.#wake = undefined) };
  }

  get isWaiting(): boolean {
    return this.#wake !== undefined;
  }

  /** So much time passes by each clock; then the timer fires. */
  fire(ms: number, unixMs: number = ms): void {
    this.now += ms;
    this.unix += unixMs;
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }
}

/** A watch, what it saw, and the world it looks at. */
function watched(addresses?: readonly string[]) {
  const clock = new HandClock();
  const seen: NetworkChange[] = [];
  const world = { addresses };
  const localAddresses = () => world.addresses;
  const watch = new NetworkWatch(
    { clock, localAddresses },
    (change) => seen.push(change),
  );
  return { clock, seen, world, watch };
}

Deno.test("NetworkWatch says nothing while time passes as it should, late by seconds or set back", () => {
  const { clock, seen } = watched(["10.0.0.1"]);
  for (let look = 0; look < 10; look++) clock.fire(5_000);
  clock.fire(14_000);
  clock.fire(5_000, 14_900);
  clock.fire(5_000, -3_600_000);
  assert.deepEqual(seen, []);
});

Deno.test("NetworkWatch sees a sleep by the calendar where timers stood still, and by timers where they did not", () => {
  const { clock, seen } = watched();
  clock.fire(5_000, 5_000 + 3_600_000);
  assert.deepEqual(seen, ["woke"]);
  clock.fire(5_000);
  assert.deepEqual(seen, ["woke"], "once");
  clock.fire(20_000, 20_000);
  assert.deepEqual(seen, ["woke", "woke"]);
});

Deno.test("NetworkWatch says for how long it stood still, and looks at once when it is told to", () => {
  const clock = new HandClock();
  const seen: (readonly [NetworkChange, number])[] = [];
  using watch = new NetworkWatch(
    { clock },
    (change, stillMs) => seen.push([change, stillMs]),
  );
  clock.fire(5_000, 605_000);
  clock.fire(605_000);
  clock.now += 1_000;
  clock.unix += 1_000;
  watch.look();
  assert.ok(clock.isWaiting);
  clock.now += 2_000;
  clock.unix += 602_000;
  watch.look();
  clock.fire(5_000);
  assert.deepEqual(seen, Array(3).fill(["woke", 600_000]));
});

Deno.test("NetworkWatch sees addresses come, go and change, in whatever order they are listed", () => {
  const { clock, seen, world } = watched(["10.0.0.1", "2001:db8::1"]);
  world.addresses = ["2001:db8::1", "10.0.0.1"];
  clock.fire(5_000);
  assert.deepEqual(seen, []);
  for (const addresses of [["10.0.0.1"], ["10.0.0.2"], [], ["10.0.0.2"]]) {
    world.addresses = addresses;
    clock.fire(5_000, 3_600_000);
    clock.fire(5_000);
  }
  assert.deepEqual(seen, Array(4).fill("moved"));
});

Deno.test("NetworkWatch stops looking when disposed of", () => {
  const { clock, watch } = watched();
  assert.ok(clock.isWaiting);
  watch[Symbol.dispose]();
  assert.ok(!clock.isWaiting);
});
