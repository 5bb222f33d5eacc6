import assert from "node:assert/strict";
import { sleep } from "../../../lib/base/clock.ts";
import { DHT_METHOD, encodeResponse } from "../../../lib/dht/messages.ts";
import { follow, peers, relays } from "./list_client.ts";
import { inNodeWorld } from "../node_world.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

Deno.test("RelayListClient gets all relays from the one node it was told of, and from some that this one names", () =>
  inNodeWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const all = await relays(world, 8, stack);
    const [first = assert.fail()] = all;
    const { list, links } = await follow(
      world.machine(),
      stack,
      peers([first]),
    );
    await list.ready;
    assert.equal(list.relays.snapshot().length, 8);
    assert.equal(links.links.length, 4);
    // A node that follows is no relay's contact, and in no relay's list.
    for (const { relay } of all) {
      assert.equal(relay.dht.relays.snapshot().length, 8);
      assert.equal(relay.dht.status.contacts, 7);
    }
  }));

Deno.test("RelayListClient hears of new relays, and forgets those that ended", () =>
  inNodeWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const [first = assert.fail()] = await relays(world, 3, stack);
    const { list } = await follow(world.machine(), stack, peers([first]));
    await list.ready;
    let told = 0;
    list.relays.onChange(() => told++);
    {
      await using _fourth = await world.machine().startRelay({
        bootstrap: [first.address],
      });
      await sleep(world.clock, 2 * MINUTE_MS);
      assert.equal(list.relays.snapshot().length, 4);
      assert.ok(told > 0);
    }
    for (let hours = 0; hours < 26; hours += 6) {
      world.clock.jumpUnix(6 * HOUR_MS);
      await sleep(world.clock, 70 * MINUTE_MS);
    }
    assert.equal(list.relays.snapshot().length, 3);
  }));

Deno.test("RelayListClient asks its guards alone as soon as it has some", () =>
  inNodeWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const [
      first = assert.fail(),
      guard = assert.fail(),
      other = assert.fail(),
    ] = await relays(world, 5, stack);
    const { list } = await follow(
      world.machine(),
      stack,
      peers([first, other]),
    );
    await list.ready;
    list.useGuards(() => peers([guard]));
    await sleep(world.clock, 30 * MINUTE_MS);
    const clients = [first, other].flatMap(({ relay }) =>
      relay.links.links.filter(({ isRelay }) => !isRelay)
    );
    assert.equal(clients.length, 0);
    const guarded = guard.relay.dht.status.served;
    await sleep(world.clock, 3 * HOUR_MS);
    assert.ok(guard.relay.dht.status.served > guarded);
    assert.deepEqual(list.sources, peers([guard]));
  }));

Deno.test("RelayListClient has its list at once after a restart, and joins by it without being told of any relay", () =>
  inNodeWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const [first = assert.fail()] = await relays(world, 5, stack);
    const machine = world.machine();
    {
      await using run = new AsyncDisposableStack();
      const { list } = await follow(machine, run, peers([first]));
      await list.ready;
    }
    const startedMs = world.clock.nowMs();
    {
      await using run = new AsyncDisposableStack();
      const { list } = await follow(machine, run, []);
      await list.ready;
      assert.equal(world.clock.nowMs(), startedMs);
      assert.equal(list.relays.snapshot().length, 5);
    }
    // A week later all records have ended; where relays were is still known.
    world.clock.jumpUnix(7 * 24 * HOUR_MS);
    await sleep(world.clock, 15 * MINUTE_MS);
    await using run = new AsyncDisposableStack();
    const { list } = await follow(machine, run, []);
    assert.equal(list.hasSources, true);
    assert.deepEqual(list.relays.snapshot(), []);
    await list.ready;
    assert.equal(list.relays.snapshot().length, 5);
  }));

Deno.test("RelayListClient that knows no node has no sources", () =>
  inNodeWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const { list } = await follow(world.machine(), stack, []);
    assert.equal(list.hasSources, false);
  }));

Deno.test("RelayListClient tries again until a node answers", () =>
  inNodeWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const [first = assert.fail()] = await relays(world, 3, stack);
    const cut = world.network.cut(
      [first.address.address],
      [{ host: "10.0.0.4", port: 49_152 }],
    );
    const { list } = await follow(world.machine(), stack, peers([first]));
    let isReady = false;
    list.ready.then(() => isReady = true);
    await sleep(world.clock, 5 * MINUTE_MS);
    assert.equal(isReady, false);
    cut.heal();
    await sleep(world.clock, 10 * MINUTE_MS);
    assert.equal(isReady, true);
  }));

Deno.test("RelayListClient takes nothing from a source that lies or answers with garbage, and leaves it", () =>
  inNodeWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const all = await relays(world, 4, stack);
    const [liar = assert.fail(), mumbler = assert.fail(), honest] = all;
    const forged = liar.relay.record.current.encoded.with(-1, 0);
    const answers = new Map([
      [
        liar,
        encodeResponse({
          type: "relays",
          records: [forged],
          cursor: new Uint8Array(),
          more: true,
        }),
      ],
      [mumbler, Uint8Array.of(0xff)],
    ]);
    for (const [{ relay: { services } }, answer] of answers) {
      const before = services.onRequest.bind(services);
      services.onRequest = (link, method, body, signal) =>
        method === DHT_METHOD && !link.isRelay
          ? Promise.resolve(answer)
          : before(link, method, body, signal);
    }
    const machine = world.machine();
    const { list } = await follow(
      machine,
      stack,
      peers([liar, mumbler, honest ?? assert.fail()]),
    );
    await list.ready;
    // Of three that it was told of, one is left: believed after a while.
    await sleep(world.clock, 2 * MINUTE_MS);
    assert.equal(list.relays.snapshot().length, 4);
    assert.ok(
      machine.log.messages("warning").includes(
        "A source of the relay list broke the protocol",
      ),
    );
    assert.deepEqual(machine.log.messages("error"), []);
    await sleep(world.clock, 1000);
    const clients = [liar, mumbler].flatMap(({ relay }) =>
      relay.links.links.filter(({ isRelay }) => !isRelay)
    );
    assert.equal(clients.length, 0);
  }));

Deno.test("RelayListClient reads no more pages of one source than a list can have", () =>
  inNodeWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const [endless = assert.fail()] = await relays(world, 2, stack);
    const { services } = endless.relay;
    const before = services.onRequest.bind(services);
    let pages = 0;
    services.onRequest = (link, method, body, signal) => {
      if (method !== DHT_METHOD || link.isRelay) {
        return before(link, method, body, signal);
      }
      pages++;
      return Promise.resolve(encodeResponse({
        type: "relays",
        records: [endless.relay.record.current.encoded],
        cursor: Uint8Array.of(pages & 255, pages >> 8),
        more: true,
      }));
    };
    const { list } = await follow(world.machine(), stack, peers([endless]));
    await list.ready;
    assert.ok(pages > 400 && pages < 500, `${pages} pages`);
  }));
