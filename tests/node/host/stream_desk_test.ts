import assert from "node:assert/strict";
import { sleep } from "../../../lib/base/clock.ts";
import { checkMaxStreams } from "../../../lib/node/host/stream_desk.ts";
import {
  exchange,
  inServiceWorld,
  NEVER,
  type TestClient,
  type TestService,
} from "../session/service_world.ts";

const BYTES = new Uint8Array(50).fill(7);

/** One more stream of a visitor. */
async function open({ visits }: TestClient, { publicKey }: TestService) {
  const target = { service: publicKey, port: 80, isolation: undefined };
  const stream = await visits.connect(target, { signal: NEVER });
  await stream.write(BYTES);
  return stream;
}

Deno.test("StreamDesk serves so many streams of a session, resets others, and gives places back", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService({ maxStreams: 2 });
    const [greedy, other] = [world.client(), world.client()];
    const first = await open(greedy, service);
    const second = await open(greedy, service);
    for (const stream of [first, second]) {
      assert.deepEqual(await stream.read(), BYTES);
    }
    const third = await open(greedy, service);
    await assert.rejects(third.opened, { code: "session.reset_exhausted" });
    assert.deepEqual(
      await exchange(await open(other, service), new Uint8Array(0)),
      BYTES,
    );
    first.abort();
    await sleep(world.clock, 2_000);
    const fourth = await open(greedy, service);
    assert.deepEqual(await fourth.read(), BYTES);
    await second.write(BYTES);
    assert.deepEqual(await second.read(), BYTES, "others run on");
  }));

Deno.test("checkMaxStreams() refuses limits that no session could have", () => {
  for (const maxStreams of [0, -1, 1.5, NaN, Infinity, 4097]) {
    assert.throws(() => checkMaxStreams(maxStreams), {
      code: "service.max_streams",
      message: /from 1 to 4096/,
    });
  }
  for (const maxStreams of [1, 1024, 4096]) checkMaxStreams(maxStreams);
});
