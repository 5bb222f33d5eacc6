/**
 * How visitors share a service: by the visitor, not by the stream; and what one
 * that does not read costs the others.
 *
 * @module
 */
import assert from "node:assert/strict";
import { sleep } from "../../lib/base/clock.ts";
import { readAll } from "../node/session/service_world.ts";
import {
  inWholeWorld,
  type WholeWorld,
  type WorldClient,
} from "./whole_world.ts";

const NEVER = new AbortController().signal;
/** Visitors with one stream each, beside the many of one. */
const OTHERS = 4;
const BYTES = 150 * 1024;
const GREEDY_STREAMS = 20;

/** A service of so many bytes a stream behind a narrow line, and its visitors, who have been there. */
async function startVisits(world: WholeWorld) {
  const service = await world.addService(async (stream) => {
    await stream.write(new Uint8Array(BYTES));
    await stream.closeWrite();
  });
  const [one, two] = [
    await world.addClient("one"),
    await world.addClient("two"),
  ];
  const open = ({ role }: WorldClient, isolation: string) =>
    role.visits.connect(
      { service: service.publicKey, port: 80, isolation },
      { signal: NEVER },
    );
  const load = async (number: number) => {
    const stream = await open(two, `other ${number}`);
    const startMs = world.clock.nowMs();
    assert.equal((await readAll(stream)).length, BYTES);
    return world.clock.nowMs() - startMs;
  };
  const others = () =>
    Promise.all(Array.from({ length: OTHERS }, (_, number) => load(number)));
  await others(); // their sessions are there
  return { others, openGreedy: () => open(one, "greedy") };
}

function longest(times: readonly number[]): number {
  return Math.max(...times);
}

const NARROW = {
  relays: 6,
  uplinkBytesPerSecond: 2 * 1024 * 1024,
  maxEvents: 1e9,
};

Deno.test("A visitor with many streams leaves the others their shares", () =>
  inWholeWorld(NARROW, async (world) => {
    const { others, openGreedy } = await startVisits(world);
    const alone = longest(await others());
    const first = await openGreedy();
    const greedy = [readAll(first)];
    for (let count = 1; count < GREEDY_STREAMS; count++) {
      greedy.push(openGreedy().then(readAll));
    }
    await sleep(world.clock, 1_000);
    const beside = longest(await others());
    // By the stream, they would have a sixth of the line in all, and not four fifths.
    assert.ok(
      beside < 2 * alone + 500,
      `${alone} ms alone, ${beside} ms beside`,
    );
    for (const all of await Promise.all(greedy)) {
      assert.equal(all.length, BYTES);
    }
  }));

Deno.test("A visitor that does not read costs the others nothing", () =>
  inWholeWorld(NARROW, async (world) => {
    const { others, openGreedy } = await startVisits(world);
    const alone = longest(await others());
    const unread = [];
    for (let count = 0; count < GREEDY_STREAMS; count++) {
      unread.push(await openGreedy());
    }
    // Long enough for all that its windows take.
    await sleep(world.clock, 30_000);
    const beside = longest(await others());
    assert.ok(
      beside < 1.2 * alone + 200,
      `${alone} ms alone, ${beside} ms beside`,
    );
    for (const stream of unread) stream.abort();
  }));
