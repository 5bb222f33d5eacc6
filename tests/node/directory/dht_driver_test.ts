import assert from "node:assert/strict";
import { networkParameters } from "../../../lib/auth/network.ts";
import type { Bytes } from "../../../lib/base/bytes.ts";
import { sleep } from "../../../lib/base/clock.ts";
import { MAX_TASKS } from "../../../lib/dht/errands.ts";
import {
  decodeRequest,
  DHT_METHOD,
  encodeRequest,
  encodeResponse,
} from "../../../lib/dht/messages.ts";
import {
  createStoredRecord,
  selfCertifyingKey,
  type StoredRecord,
} from "../../../lib/dht/records/stored_record.ts";
import { nativeSuite } from "../../../lib/crypto/native.ts";
import type { MemoryFiles } from "../../../lib/storage/memory_files.ts";
import { StateDirectory } from "../../../lib/storage/state_directory.ts";
import { testBytes, testIdentity } from "../../support/nodes.ts";
import { inNodeWorld, type NodeWorld, type RelayNode } from "../node_world.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const crypto = nativeSuite();
const network = networkParameters("local");

/** A record of publisher `name`, at a place of its own. */
function recordOf(name: string, world: NodeWorld, life = HOUR_MS) {
  const signer = crypto.signer(testBytes(name, 32));
  return createStoredRecord(network, signer, {
    key: selfCertifyingKey(crypto, signer.publicKey, 0),
    sequence: world.clock.unixMs(),
    expiry: world.clock.unixMs() + life,
    value: testBytes(name, 100),
  });
}

async function find(node: RelayNode, { key, publisher }: StoredRecord) {
  const { records } = await node.relay.dht.get(key, publisher);
  return records;
}

/** Some relays of which the first was the bootstrap node of all others. */
async function relays(
  world: NodeWorld,
  count: number,
  stack: AsyncDisposableStack,
): Promise<[RelayNode, ...RelayNode[]]> {
  const [first = assert.fail(), ...others] = await world.relays(count, stack);
  await sleep(world.clock, 30_000);
  return [first, ...others];
}

Deno.test("DhtDriver joins, knows all relays, and stores and finds records", () =>
  inNodeWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const [first, ...others] = await relays(world, 6, stack);
    const record = recordOf("a", world);
    const { copies, refused } = await first.relay.dht.put(record);
    assert.deepEqual([copies, refused.size], [6, 0]);
    for (const node of [first, ...others]) {
      const { dht } = node.relay;
      await dht.joined;
      assert.deepEqual(await find(node, record), [record]);
      assert.equal(dht.relays.snapshot().length, 6);
      const { contacts, relays, records, joined } = dht.status;
      assert.deepEqual([contacts, relays, records, joined], [5, 6, 1, true]);
      const { closest } = await dht.findNode(first.relay.record.current.place);
      assert.equal(closest.length, 5);
    }
    const missing = recordOf("b", world);
    assert.deepEqual(await find(first, missing), []);
  }));

Deno.test("DhtDriver of a relay alone answers at once, with what it holds itself", () =>
  inNodeWorld(async (world) => {
    await using alone = await world.machine().startRelay();
    const { dht } = alone.relay;
    const { closest, asked } = await dht.findNode(dht.randomPoint());
    assert.deepEqual([closest, asked], [[], 0]);
    const record = recordOf("a", world);
    assert.equal((await dht.put(record)).copies, 1);
    assert.deepEqual(await find(alone, record), [record]);
    assert.equal(dht.status.joined, false);
  }));

Deno.test("DhtDriver tells of new relays, and forgets those that have expired", () =>
  inNodeWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const [first] = await relays(world, 2, stack);
    const { relays: directory } = first.relay.dht;
    let told = 0;
    directory.onChange(() => told++);
    {
      await using _third = await world.machine().startRelay({
        bootstrap: [first.address],
      });
      await sleep(world.clock, 2000);
      assert.equal(directory.snapshot().length, 3);
      assert.ok(told > 0);
    }
    await sleep(world.clock, 25 * HOUR_MS);
    assert.equal(directory.snapshot().length, 2);
  }));

Deno.test("DhtDriver announces its record when it is signed anew", () =>
  inNodeWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const [first, second = assert.fail()] = await relays(world, 4, stack);
    const { sequence } = first.relay.record.current;
    await sleep(world.clock, 6 * HOUR_MS + MINUTE_MS);
    const renewed = first.relay.record.current;
    assert.ok(renewed.sequence > sequence);
    const known = second.relay.dht.machine.relays
      .get(first.relay.identity.nodeId);
    assert.equal(known?.sequence, renewed.sequence);
  }));

Deno.test("DhtDriver remembers contacts, relays and records over a restart, and joins by them alone", () =>
  inNodeWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const [first] = await relays(world, 5, stack);
    const machine = world.machine();
    const record = recordOf("a", world, 24 * HOUR_MS);
    {
      await using node = await machine.startRelay({
        bootstrap: [first.address],
      });
      await sleep(world.clock, 30_000);
      await node.relay.dht.put(record);
      assert.equal(node.relay.dht.status.records, 1);
    }
    await using again = await machine.startRelay();
    await again.relay.dht.joined;
    const { dht } = again.relay;
    await sleep(world.clock, 10_000);
    const { contacts, relays: known, records } = dht.status;
    assert.deepEqual([contacts, known, records], [5, 6, 1]);
    assert.deepEqual(machine.log.messages("error"), []);
  }));

Deno.test("DhtDriver joins by contacts whose records have long expired", () =>
  inNodeWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const [first] = await relays(world, 3, stack);
    const machine = world.machine();
    {
      await using _node = await machine.startRelay({
        bootstrap: [first.address],
      });
      await sleep(world.clock, 30_000);
    }
    await sleep(world.clock, 72 * HOUR_MS);
    await using again = await machine.startRelay();
    await again.relay.dht.joined;
    assert.equal(again.relay.dht.status.joined, true);
  }));

Deno.test("DhtDriver writes down what it knows while it runs: a kill costs minutes", () =>
  inNodeWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const [first] = await relays(world, 3, stack);
    const machine = world.machine();
    await using node = await machine.startRelay({ bootstrap: [first.address] });
    const record = recordOf("a", world, 24 * HOUR_MS);
    await node.relay.dht.put(record);
    await sleep(world.clock, 11 * MINUTE_MS);
    // The same disk in another machine, as the process is still there.
    const copy = world.machine();
    for (const name of await machine.files.list("state")) {
      if (name === "lock") continue;
      const bytes = await machine.files.read(`state/${name}`);
      copy.files.plant(`state/${name}`, bytes ?? new Uint8Array());
    }
    await node[Symbol.asyncDispose]();
    await using killed = await copy.startRelay();
    await killed.relay.dht.joined;
    await sleep(world.clock, 1000);
    assert.equal(killed.relay.dht.status.records, 1);
  }));

Deno.test("DhtDriver starts without files that are torn, and says so", () =>
  inNodeWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const [first] = await relays(world, 3, stack);
    const machine = world.machine();
    const bootstrap = [first.address];
    {
      await using node = await machine.startRelay({ bootstrap });
      await node.relay.dht.put(recordOf("a", world, 24 * HOUR_MS));
      await sleep(world.clock, 30_000);
    }
    const names = (await machine.files.list("state"))
      .filter((name) => name.startsWith("dht-"));
    assert.equal(names.length, 3);
    for (const name of names) {
      const bytes = await machine.files.read(`state/${name}`);
      machine.files.plant(
        `state/${name}`,
        (bytes ?? new Uint8Array()).subarray(0, -1),
      );
    }
    await using again = await machine.startRelay({ bootstrap });
    await sleep(world.clock, 30_000);
    assert.equal(
      machine.log.messages("error").filter((text) => /set aside/.test(text))
        .length,
      3,
    );
    // The others still hold the record, and hand it on in time.
    assert.equal(again.relay.dht.status.contacts, 3);
  }));

Deno.test("DhtDriver verifies what it remembers: false records are dropped in silence", () =>
  inNodeWorld(async (world) => {
    const machine = world.machine();
    const record = recordOf("a", world, 24 * HOUR_MS);
    {
      await using node = await machine.startRelay();
      await node.relay.dht.put(record);
      await sleep(world.clock, MINUTE_MS);
    }
    const [name = assert.fail()] = (await machine.files.list("state"))
      .filter((name) => name.startsWith("dht-records"));
    const { blobs } = await blobsOf(machine.files);
    const body = await blobs.read(name.slice(0, -".blob".length));
    const forged = body?.with(-1, 1) ?? assert.fail();
    await blobs.write(name.slice(0, -".blob".length), forged);
    await using node = await machine.startRelay();
    await sleep(world.clock, MINUTE_MS);
    assert.equal(node.relay.dht.status.records, 0);
    assert.deepEqual(machine.log.messages("error"), []);
  }));

Deno.test("DhtDriver goes on when its disk is full, and says so", () =>
  inNodeWorld(async (world) => {
    const machine = world.machine();
    await using node = await machine.startRelay();
    const { create } = machine.files;
    machine.files.create = () =>
      Promise.reject(Object.assign(new Error("full"), { code: "ENOSPC" }));
    await node.relay.dht.put(recordOf("a", world, 24 * HOUR_MS));
    await sleep(world.clock, 25 * MINUTE_MS);
    assert.ok(
      machine.log.messages("error").includes(
        "Cannot write down what the DHT should remember",
      ),
    );
    machine.files.create = create;
    assert.equal(node.relay.dht.status.records, 1);
  }));

Deno.test("DhtDriver joins again after it has lost all others", () =>
  inNodeWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const [first, ...others] = await relays(world, 4, stack);
    const { dht } = first.relay;
    const place = [{ host: "10.0.0.1", port: 4001 }];
    const rest = others.map(({ address: { address } }) => address);
    const cut = world.network.cut(place, rest);
    await sleep(world.clock, HOUR_MS);
    assert.equal(dht.status.contacts, 0);
    cut.heal();
    await sleep(world.clock, 15 * MINUTE_MS);
    assert.equal(dht.status.contacts, 3);
    const record = recordOf("a", world);
    assert.equal((await dht.put(record)).copies, 4);
  }));

Deno.test("DhtDriver notices a contact that died with its link, and not one whose link was idle", () =>
  inNodeWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const [first, ...others] = await relays(world, 4, stack);
    const { dht, links } = first.relay;
    await sleep(world.clock, 10 * MINUTE_MS);
    assert.equal(links.links.length, 0);
    const { sent } = dht.status;
    await sleep(world.clock, MINUTE_MS);
    // Nothing is asked because a link has ended.
    assert.ok(dht.status.sent - sent < 4);
    const dead = others[0]?.relay ?? assert.fail();
    const { place } = dead.record.current;
    await dht.findNode(place);
    assert.equal(dht.status.contacts, 3);
    await others[0]?.[Symbol.asyncDispose]();
    await dht.findNode(place);
    await sleep(world.clock, 2 * MINUTE_MS);
    assert.equal(dht.status.contacts, 2);
  }));

Deno.test("DhtDriver keeps a relay out that answers with garbage, and closes its link", () =>
  inNodeWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const [first, liar = assert.fail()] = await relays(world, 4, stack);
    const { services, identity } = liar.relay;
    const honest = services.onRequest.bind(services);
    services.onRequest = (link, method, body, signal) =>
      method === DHT_METHOD && isFind(body)
        ? Promise.resolve(Uint8Array.of(0xff))
        : honest(link, method, body, signal);
    const { dht, links } = first.relay;
    const { closest } = await dht.findNode(liar.relay.record.current.place);
    assert.equal(closest.length, 2);
    assert.equal(dht.status.contacts, 2);
    assert.equal(links.get(identity.publicKey), undefined);
    await sleep(world.clock, 30 * MINUTE_MS);
    assert.equal(dht.status.contacts, 2);
  }));

Deno.test("DhtDriver blames who names relays with false records", () =>
  inNodeWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const [first, liar = assert.fail()] = await relays(world, 4, stack);
    const { services, identity } = liar.relay;
    const forged = first.relay.record.current.encoded.with(-1, 0);
    const honest = services.onRequest.bind(services);
    services.onRequest = (link, method, body, signal) =>
      method === DHT_METHOD && isFind(body)
        ? Promise.resolve(
          encodeResponse({ type: "nodes", records: [forged] }),
        )
        : honest(link, method, body, signal);
    const { dht, links } = first.relay;
    await dht.findNode(liar.relay.record.current.place);
    assert.equal(links.get(identity.publicKey), undefined);
    assert.equal(dht.status.contacts, 2);
  }));

Deno.test("DhtDriver closes the link of who sends requests that are none", () =>
  inNodeWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const [first, second = assert.fail()] = await relays(world, 2, stack);
    for (const request of [[], [0xff], [0xa1, 0x61, 0x6d, 0x09]]) {
      const link = await second.relay.links.getOrDial({
        publicKey: first.address.publicKey,
        addresses: [first.address.address],
      });
      await assert.rejects(link.request(DHT_METHOD, Uint8Array.from(request)));
      await link.closed;
      await sleep(world.clock, 2000);
    }
    const link = await second.relay.links.getOrDial({
      publicKey: first.address.publicKey,
      addresses: [first.address.address],
    });
    assert.ok(await link.request(DHT_METHOD, encodeRequest({ type: "ping" })));
  }));

Deno.test("DhtDriver turns down tasks beyond its limit, and those that are given up end", () =>
  inNodeWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const [first] = await relays(world, 4, stack);
    const { dht } = first.relay;
    const tasks = Array.from(
      { length: MAX_TASKS + 5 },
      () => dht.findNode(dht.randomPoint()),
    );
    const ends = await Promise.allSettled(tasks);
    const refused = ends.filter(({ status }) => status === "rejected");
    assert.equal(refused.length, 5);
    for (const end of refused) {
      assert.equal(end.status === "rejected" && end.reason.code, "dht.busy");
    }
    const reason = new Error("enough");
    const signal = AbortSignal.abort(reason);
    const given = dht.findNode(dht.randomPoint(), { signal });
    await assert.rejects(given, reason);
  }));

Deno.test("DhtDriver ends tasks that are under way when it stops, and takes no more", () =>
  inNodeWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const [first, second = assert.fail()] = await relays(world, 3, stack);
    const { dht } = second.relay;
    const task = dht.findNode(first.relay.record.current.place);
    const record = recordOf("a", world);
    const put = dht.put(record);
    await Promise.all([
      assert.rejects(task, { code: "dht.stopped" }),
      assert.rejects(put, { code: "dht.stopped" }),
      second[Symbol.asyncDispose](),
    ]);
    await assert.rejects(dht.get(record.key), { code: "dht.stopped" });
    await dht[Symbol.asyncDispose]();
  }));

Deno.test("DhtDriver joins by a bootstrap node that was reached at another address than it lists", () =>
  inNodeWorld(async (world) => {
    const machine = world.machine();
    const listed = { host: "10.7.7.7", port: 4001 };
    await using first = await machine.startRelay({ advertise: [listed] });
    const reached = { host: "10.0.0.1", port: 4001 };
    const { publicKey } = first.address;
    await using second = await world.machine().startRelay({
      bootstrap: [{ publicKey, address: reached }],
    });
    await second.relay.dht.joined;
    assert.equal(second.relay.dht.status.contacts, 1);
  }));

Deno.test("DhtDriver goes on where no bootstrap node is the one that was named", () =>
  inNodeWorld(async (world) => {
    await using first = await world.machine().startRelay();
    const { publicKey } = testIdentity(crypto, 77);
    const { address } = first.address;
    await assert.rejects(
      world.machine().startRelay({ bootstrap: [{ publicKey, address }] }),
      { code: "node.bootstrap" },
    );
  }));

function isFind(body: Bytes): boolean {
  return decodeRequest(network, body).type === "find_node";
}

/** The blobs of a state directory that no process holds. */
async function blobsOf(files: MemoryFiles) {
  using state = await StateDirectory.open("state", {
    files,
    crypto,
    holder: "test",
    onSetAside() {},
  });
  return state;
}
