/**
 * The attack: a node that a client asks for the list of relays names relays of its
 * own making, or hides those of others. A party that decides what a client knows plays
 * all hops of its circuits.
 *
 * @see protocol §4.7 "The relay list"
 * @module
 */
import assert from "node:assert/strict";
import { sleep } from "../../lib/base/clock.ts";
import type { Bytes } from "../../lib/base/bytes.ts";
import { DHT_METHOD, encodeResponse } from "../../lib/dht/messages.ts";
import { peerOf } from "../../lib/node/link/link_dial.ts";
import { nobleSuite } from "../../lib/crypto/noble.ts";
import { follow, peers, relays } from "../node/directory/list_client.ts";
import {
  inNodeWorld,
  type NodeWorld,
  type RelayNode,
} from "../node/node_world.ts";
import { testRecord } from "../support/nodes.ts";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
/** Invented relays; a page of them. */
const INVENTED = 40;

/** Records of relays that are not there, each in a subnet of its own. */
function invent(world: NodeWorld): Bytes[] {
  const sequence = world.clock.unixMs();
  return Array.from(
    { length: INVENTED },
    (_, index) =>
      testRecord(nobleSuite(), 9_000_000 + index, {
        addresses: [{ host: `66.${index}.1.1`, port: 4001 }],
        sequence,
        expiry: sequence + 20 * HOUR_MS,
      }).encoded,
  );
}

/** From now on a relay answers clients that ask for its list with these records. */
function answerWith({ relay: { services } }: RelayNode, records: Bytes[]) {
  const before = services.onRequest.bind(services);
  services.onRequest = (link, method, body, signal) =>
    method === DHT_METHOD && !link.isRelay
      ? Promise.resolve(encodeResponse({
        type: "relays",
        records,
        cursor: new Uint8Array(1),
        more: false,
      }))
      : before(link, method, body, signal);
}

/** How many of these relays a client knows, and how many others. */
function known(
  list: { readonly relays: { snapshot(): readonly { encoded: Bytes }[] } },
  records: readonly Bytes[],
) {
  const wanted = new Set(records.map((record) => record.toHex()));
  const listed = list.relays.snapshot();
  const good = listed.filter(({ encoded }) => wanted.has(encoded.toHex()));
  return { these: good.length, others: listed.length - good.length };
}

const own = (nodes: readonly RelayNode[]) =>
  nodes.map(({ relay }) => relay.record.current.encoded);

Deno.test("a bootstrap node that names only its friends gives a client none of them", () =>
  inNodeWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const all = await relays(world, 8, stack);
    const [liar = assert.fail(), second, third] = all;
    const invented = invent(world);
    answerWith(liar, invented);
    const named = [liar, second ?? assert.fail(), third ?? assert.fail()];
    const { list } = await follow(world.machine(), stack, peers(named));
    await list.ready;
    await sleep(world.clock, 2 * MINUTE_MS);
    assert.deepEqual(known(list, own(all)), { these: 8, others: 0 });
  }));

Deno.test("a guard alone gives a client no relay that it did not know", () =>
  inNodeWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const all = await relays(world, 8, stack);
    const [first, second, guard = assert.fail()] = all;
    const { list } = await follow(
      world.machine(),
      stack,
      peers([first ?? assert.fail(), second ?? assert.fail()]),
    );
    await list.ready;
    answerWith(guard, invent(world));
    list.useGuards(() => [peerOf(guard.address)]);
    await sleep(world.clock, 3 * HOUR_MS);
    assert.deepEqual(known(list, own(all)), { these: 8, others: 0 });
  }));

Deno.test("a guard that hides half of the list takes nothing from a client that has another guard", () =>
  inNodeWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const all = await relays(world, 6, stack);
    const [first, second, hider = assert.fail(), honest = assert.fail()] = all;
    const { list } = await follow(
      world.machine(),
      stack,
      peers([first ?? assert.fail(), second ?? assert.fail()]),
    );
    await list.ready;
    answerWith(hider, own(all).slice(0, 3));
    list.useGuards(() => peers([hider, honest]));
    // Longer than records live: each has been renewed several times.
    await sleep(world.clock, 30 * HOUR_MS);
    assert.equal(list.relays.snapshot().length, 6);
  }));
