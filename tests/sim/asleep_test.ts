/**
 * Processes that are stopped and go on, and machines that sleep: what becomes of a
 * connection that a program holds. It goes on where the other side still has the
 * session, and its program is told within seconds where it has not.
 *
 * @module
 */
import assert from "node:assert/strict";
import { errorCode } from "../../lib/base/errors.ts";
import type { StreamHandler } from "../../lib/node/host/stream_target.ts";
import type { GatewayStream } from "../../lib/http/gateway.ts";
import { sleep } from "../../lib/base/clock.ts";
import {
  inWholeWorld,
  type Stillness,
  type WholeWorld,
  type WorldMachine,
} from "./whole_world.ts";

/** Within this time from waking up a program knows, ms. */
const TOLD_MS = 5_000;
/** What was not lost goes on by then, over legs that may have to be built first, ms. */
const GOES_ON_MS = 8_000;
const MINUTE = 60_000;
/** The other side has given the session up, or has it still. */
const LONG_MS = 10 * MINUTE;
const SHORT_MS = 30_000;

const NEVER = new AbortController().signal;
const WORDS = new TextEncoder().encode("still here?");

/** A program behind a service that says back what it is told. */
class EchoProgram {
  readonly handle: StreamHandler;
  /** Writes to its client, unasked. */
  tell: () => Promise<void> = () => Promise.resolve();
  /** When its connection has ended without a word of its client, ms. */
  cutMs: number | undefined;

  constructor(world: WholeWorld) {
    this.handle = async (stream) => {
      this.tell = () => stream.write(WORDS).catch(() => {});
      try {
        for (;;) {
          const bytes = await stream.read();
          if (bytes === undefined) break;
          await stream.write(bytes);
        }
        await stream.closeWrite();
      } catch {
        this.cutMs = world.clock.nowMs();
      }
    };
  }
}

/** What a program that holds a connection meets when it writes. */
async function ask(stream: GatewayStream): Promise<string> {
  try {
    await stream.write(WORDS);
    const answer = await stream.read();
    return answer === undefined ? "end" : new TextDecoder().decode(answer);
  } catch (error) {
    return errorCode(error);
  }
}

/** A service, and a client with a connection to it. */
interface Held {
  readonly world: WholeWorld;
  readonly client: WorldMachine;
  readonly service: WorldMachine;
  readonly stream: GatewayStream;
  readonly program: EchoProgram;
  /** Open another connection. */
  readonly connect: () => Promise<GatewayStream>;
}

async function inHeldWorld(test: (held: Held) => Promise<void>): Promise<void> {
  await inWholeWorld({ relays: 9 }, async (world) => {
    const program = new EchoProgram(world);
    const service = await world.addService(program.handle);
    const client = await world.addClient();
    const { host } = service.driver;
    const target = { host, port: 80, isolation: "a" };
    const connect = () =>
      client.role.gateway.connect(target, { signal: NEVER });
    const stream = await connect();
    assert.equal(await ask(stream), "still here?");
    await sleep(world.clock, MINUTE);
    assert.equal(await ask(stream), "still here?");
    await test({
      world,
      client: client.machine,
      service: service.machine,
      stream,
      program,
      connect,
    });
  });
}

for (const what of ["process", "machine"] as const satisfies Stillness[]) {
  Deno.test(`a program whose ${what} stood still for ten minutes is told within seconds that its connection is lost`, () =>
    inHeldWorld(async ({ world, client, stream, program, connect }) => {
      const { clock } = world;
      const startMs = clock.nowMs();
      await world.standStill(client, what, LONG_MS);
      // The service gave it up in the meantime, and told its own program.
      const cutMs = (program.cutMs ?? Infinity) - startMs;
      assert.ok(cutMs < 1.5 * MINUTE, `${cutMs} ms`);
      const wokeMs = clock.nowMs();
      // Opened before it knows.
      const opening = connect().then(async (another) => {
        await sleep(clock, TOLD_MS);
        return await ask(another);
      });
      const answer = await ask(stream);
      const toldMs = clock.nowMs() - wokeMs;
      assert.match(answer, /^service\.session_lost$|^session\.reset_failed$/);
      assert.ok(toldMs <= TOLD_MS, `${toldMs} ms`);
      assert.equal(await ask(await connect()), "still here?");
      const againMs = clock.nowMs() - wokeMs;
      assert.ok(againMs <= TOLD_MS + 1_000, `${againMs} ms`);
      assert.equal(await opening, "still here?");
    }));

  Deno.test(`a service whose ${what} stood still for ten minutes tells its program within seconds that a connection is lost`, () =>
    inHeldWorld(async ({ world, service, stream, program }) => {
      const { clock } = world;
      const asking = ask(stream);
      await world.standStill(service, what, LONG_MS);
      // Its client has given up long ago.
      assert.equal(await asking, "session.reset_failed");
      assert.equal(program.cutMs, undefined);
      const wokeMs = clock.nowMs();
      await program.tell();
      await sleep(clock, MINUTE);
      const cutMs = (program.cutMs ?? Infinity) - wokeMs;
      assert.ok(cutMs <= TOLD_MS, `${cutMs} ms`);
    }));

  Deno.test(`a connection goes on within seconds after the ${what} of its client, and then of its service, stood still for half a minute`, () =>
    inHeldWorld(async ({ world, stream, program, ...machines }) => {
      const { clock } = world;
      for (const who of ["client", "service"] as const) {
        await world.standStill(machines[who], what, SHORT_MS);
        const wokeMs = clock.nowMs();
        assert.equal(await ask(stream), "still here?", who);
        const tookMs = clock.nowMs() - wokeMs;
        assert.ok(tookMs <= GOES_ON_MS, `${who}: ${tookMs} ms`);
        assert.equal(program.cutMs, undefined);
        await sleep(clock, MINUTE);
      }
    }));
}
