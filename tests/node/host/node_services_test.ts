import assert from "node:assert/strict";
import { equalBytes } from "../../../lib/base/bytes.ts";
import { sleep } from "../../../lib/base/clock.ts";
import {
  NodeServices,
  type ServiceDefinition,
} from "../../../lib/node/host/node_services.ts";
import { type ServiceTarget, Visits } from "../../../lib/node/visit/visits.ts";
import { decodeStoredRecord } from "../../../lib/dht/records/stored_record.ts";
import { parseServiceHost } from "../../../lib/service/address.ts";
import { MAX_TURNS } from "../../../lib/base/start_turns.ts";
import { MemoryFiles } from "../../../lib/storage/memory_files.ts";
import { StateDirectory } from "../../../lib/storage/state_directory.ts";
import { echo } from "../../support/stream_handlers.ts";
import {
  inServiceWorld,
  MINUTE,
  NEVER,
  type ServiceWorld,
} from "../session/service_world.ts";

/** Services of a node that visits services as well. */
async function open(world: ServiceWorld, stack: AsyncDisposableStack) {
  const context = world.context();
  const state = stack.use(
    await StateDirectory.open("state", {
      files: new MemoryFiles(),
      crypto: world.crypto,
      holder: "test",
      onSetAside: () => {},
    }),
  );
  const visits = stack.use(new Visits({ context }));
  const services = stack.use(new NodeServices(context, visits, state));
  return { services, visits, log: context.log, context };
}

const DEFINITION = {
  name: "web",
  targets: new Map([[80, { type: "handler", handle: echo }] as const]),
};

Deno.test("NodeServices.reachable() resolves once the service has visited itself, and tries until then", () =>
  inServiceWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const { services, log } = await open(world, stack);
    const service = await services.start(DEFINITION);
    await service.ready;
    world.network.answer = () => undefined;
    const reachable = services.reachable(service, { signal: NEVER });
    await sleep(world.clock, MINUTE);
    const failures = log.lines.filter(({ message }) =>
      message.startsWith("A service cannot reach itself")
    );
    assert.ok(failures.length >= 4, `${failures.length} visits in a minute`);
    world.network.answer = undefined;
    await reachable;
    assert.ok(services.status[0]?.reachable);
  }));

Deno.test("NodeServices.reachable() leaves no session of its own behind, and closes none of a visitor", () =>
  inServiceWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const { services, visits } = await open(world, stack);
    const service = await services.start(DEFINITION);
    await service.ready;
    const target = {
      service: parseServiceHost(world.crypto, service.host),
      port: 80,
      isolation: "a visitor",
    };
    const stream = await visits.connect(target, { signal: NEVER });
    await stream.opened;
    await services.reachable(service, { signal: NEVER });
    await sleep(world.clock, 2_000);
    assert.equal(services.status[0]?.sessions, 1);
    assert.deepEqual(services.sessions.map(({ streams }) => streams), [1]);
    assert.equal(visits.status.sessions, 1);
  }));

Deno.test("NodeServices.reachable() ends when the service is stopped, before it was ready and after", () =>
  inServiceWorld(async (world) => {
    for (const when of ["not ready", "ready"] as const) {
      await using stack = new AsyncDisposableStack();
      const { services } = await open(world, stack);
      const service = await services.start(DEFINITION);
      if (when === "ready") await service.ready;
      world.network.answer = () => undefined;
      let outcome = "still waits";
      const reachable = services.reachable(service, { signal: NEVER }).catch(
        (error) => outcome = error.code,
      );
      if (when === "ready") await sleep(world.clock, MINUTE);
      await services.stop(service);
      await sleep(world.clock, MINUTE);
      assert.equal(outcome, "service.stopped", when);
      await reachable;
      world.network.answer = undefined;
    }
  }));

Deno.test("NodeServices.start() refuses a second service of one name, until the first is stopped", () =>
  inServiceWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const { services } = await open(world, stack);
    const first = await services.start(DEFINITION);
    await assert.rejects(services.start(DEFINITION), { code: "service.twice" });
    await services.stop(first);
    const second = await services.start(DEFINITION);
    assert.equal(second.host, first.host, "its key was kept");
  }));

Deno.test("NodeServices.start() refuses a limit of streams that no session could have, and begins nothing", () =>
  inServiceWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const { services } = await open(world, stack);
    await assert.rejects(services.start({ ...DEFINITION, maxStreams: 0 }), {
      code: "service.max_streams",
    });
    assert.deepEqual(services.status, []);
    await services.start({ ...DEFINITION, maxStreams: 1 });
  }));

Deno.test("NodeServices.start() opens no service to all that only some clients could find, unless told to", () =>
  inServiceWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const { services } = await open(world, stack);
    const clients = [world.crypto.x25519Public(new Uint8Array(32).fill(9))];
    const startAndStop = async (audience: Partial<ServiceDefinition>) =>
      await services.stop(
        await services.start({ ...DEFINITION, ...audience }),
      );
    await startAndStop({});
    await startAndStop({ clients });
    for (const audience of [{}, { isPublic: false }]) {
      await assert.rejects(startAndStop(audience), {
        code: "service.restricted",
        message: /--authorise .* --public/,
      });
    }
    await startAndStop({ name: "other" });
    await startAndStop({ clients });
    await startAndStop({ isPublic: true });
    await startAndStop({});
    for (const audience of [{ clients: [] }, { clients, isPublic: true }]) {
      await assert.rejects(startAndStop(audience), {
        code: "service.audience",
      });
    }
  }));

/** So many services, of the names `s0`, `s1`, …. */
async function startMany(services: NodeServices, count: number) {
  const started = [];
  for (let n = 0; n < count; n++) {
    started.push(await services.start({ ...DEFINITION, name: `s${n}` }));
  }
  return started;
}

Deno.test("NodeServices has a few services begin at once, and all of them in their turn", () =>
  inServiceWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const { services, context } = await open(world, stack);
    const started = await startMany(services, 40);
    await Promise.race(started.map(({ ready }) => ready));
    const { length: asked } = context.circuits.wishes;
    assert.ok(asked <= 48, `${asked} circuits before one is ready`);
    await Promise.all(started.map(({ ready }) => ready));
    assert.ok(services.status.every(({ reachable }) => reachable));
  }));

Deno.test("NodeServices begins the others while some cannot be found, and those go on trying", () =>
  inServiceWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const { services } = await open(world, stack);
    const refused = new Set<string>();
    const { network } = world;
    const put = network.put.bind(network);
    let isRefusing = true;
    // As many services as begin at once are never stored.
    network.put = (encoded) => {
      const publisher = decodeStoredRecord(encoded).publisher.toHex();
      if (refused.size < 2 * MAX_TURNS) refused.add(publisher);
      return isRefusing && refused.has(publisher) ? 0 : put(encoded);
    };
    const started = await startMany(services, 3 * MAX_TURNS);
    await Promise.all(started.slice(-MAX_TURNS).map(({ ready }) => ready));
    const reachable = () =>
      services.status.filter(({ reachable }) => reachable).length;
    assert.ok(world.clock.nowMs() < 2 * MINUTE, `${world.clock.nowMs()} ms`);
    assert.ok(reachable() < started.length);
    isRefusing = false;
    await Promise.all(started.map(({ ready }) => ready));
    assert.equal(reachable(), started.length);
  }));

Deno.test("NodeServices stops services that wait for their turn, and the others begin", () =>
  inServiceWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const { services, context } = await open(world, stack);
    const started = await startMany(services, 2 * MAX_TURNS + 1);
    for (const service of started.slice(0, -1)) await services.stop(service);
    await started.at(-1)?.ready;
    const { length: asked } = context.circuits.wishes;
    assert.ok(asked <= 40, `${asked} circuits for one service`);
  }));

Deno.test("NodeServices visits few of its services at once, and one that is not reached holds up no other", () =>
  inServiceWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const { services, visits } = await open(world, stack);
    const started = await startMany(services, 3 * MAX_TURNS);
    await Promise.all(started.map(({ ready }) => ready));
    const connect = visits.connect.bind(visits);
    let [under, most] = [0, 0];
    visits.connect = async (target, limit) => {
      most = Math.max(most, ++under);
      try {
        // As many as may be visited at once are never reached.
        if (started.slice(0, 8).some(({ host }) => isOf(target, host))) {
          await sleep(world.clock, 10 * MINUTE, limit);
        }
        return await connect(target, limit);
      } finally {
        under--;
      }
    };
    const isOf = ({ service }: ServiceTarget, host: string) =>
      equalBytes(service, parseServiceHost(world.crypto, host));
    const stop = new AbortController();
    const arrived = started.map((service) =>
      services.reachable(service, { signal: stop.signal })
    );
    await Promise.all(arrived.slice(8));
    assert.ok(world.clock.nowMs() < 5 * MINUTE);
    assert.ok(most <= 8 + 8, `${most} visits at once`);
    stop.abort(new Error("enough"));
    await Promise.allSettled(arrived);
  }));
