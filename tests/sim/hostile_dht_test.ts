import assert from "node:assert/strict";
import type { PublicKey } from "../../lib/auth/identity.ts";
import { errorCode } from "../../lib/base/errors.ts";
import { sleep } from "../../lib/base/clock.ts";
import { seededRandom } from "../../lib/base/random.ts";
import {
  decodeStoredRecord,
  type StoredRecord,
} from "../../lib/dht/records/stored_record.ts";
import { blindedKey, timePeriod } from "../../lib/service/time_period.ts";
import { echo } from "../support/stream_handlers.ts";
import {
  inWholeWorld,
  type WholeWorld,
  type WorldClient,
  type WorldService,
} from "./whole_world.ts";

const NEVER = new AbortController().signal;

/** A DHT that answers circuits what it likes, and remembers all that it was given. */
class HostileDht {
  /** What is answered for a key; `undefined`: the truth. */
  answer:
    | ((key: Uint8Array, turn: number) => Uint8Array | undefined)
    | undefined;
  readonly stored: StoredRecord[] = [];
  #turn = 0;

  constructor({ relays }: WholeWorld) {
    for (const { role: { dht } } of relays) {
      const [get, put] = [dht.get.bind(dht), dht.put.bind(dht)];
      dht.put = (record, options) => {
        this.stored.push(record);
        return put(record, options);
      };
      dht.get = async (key, publisher, options) => {
        const found = await get(key, publisher, options);
        const encoded = this.answer?.(key, this.#turn++);
        if (encoded === undefined) return found;
        return { ...found, records: this.#lie(encoded) };
      };
    }
  }

  /** What was stored by a publisher, the newest first. */
  of(publisher: PublicKey): StoredRecord[] {
    return this.stored.filter((record) =>
      record.publisher.toHex() === publisher.toHex()
    ).sort((a, b) => b.sequence - a.sequence);
  }

  /** Bytes as a last hop passes them on: it could look at them, but does not. */
  #lie(encoded: Uint8Array): StoredRecord[] {
    const bytes = new Uint8Array(encoded);
    if (bytes.length === 0) return [];
    return this.stored.slice(0, 1).map((any) => ({ ...any, encoded: bytes }));
  }
}

interface Town {
  readonly world: WholeWorld;
  readonly dht: HostileDht;
  readonly service: WorldService;
  readonly other: WorldService;
  readonly client: WorldClient;
}

function inTown(test: (town: Town) => Promise<void>): Promise<void> {
  return inWholeWorld({ relays: 10 }, async (world) => {
    // It is midnight: two periods are published.
    const dht = new HostileDht(world);
    const service = await world.addService();
    const other = await world.addService(echo, { name: "other" });
    await sleep(world.clock, 70_000); // both periods are out
    const client = await world.addClient();
    await test({ world, dht, service, other, client });
  });
}

/** The code of the error that connecting ends with, or `undefined`. */
async function failure(
  client: WorldClient,
  { publicKey }: WorldService,
  isolation: string,
): Promise<string | undefined> {
  const target = { service: publicKey, port: 80, isolation };
  try {
    const stream = await client.role.visits.connect(target, { signal: NEVER });
    await stream.closeWrite();
    assert.equal(await stream.read(), undefined);
    return undefined;
  } catch (error) {
    return errorCode(error);
  }
}

function blindedOf({ world }: Town, { publicKey }: WorldService, later = 0) {
  const period = timePeriod(world.clock.unixMs());
  return blindedKey(world.crypto, publicKey, period + later);
}

/** The record that a key stands for, as it was stored first. */
function sameReplica(
  dht: HostileDht,
  publisher: PublicKey,
  key: Uint8Array,
): Uint8Array {
  const [newest] = dht.of(publisher).filter((record) =>
    record.key.toHex() === key.toHex()
  );
  return newest?.encoded ?? new Uint8Array();
}

Deno.test("a descriptor of another service is not taken for the one that was asked for", () =>
  inTown(async (town) => {
    const { dht, client, service, other } = town;
    const foreign = dht.of(blindedOf(town, other));
    assert.ok(foreign.length >= 4);
    dht.answer = (_, turn) => foreign[turn % foreign.length]?.encoded;
    assert.equal(
      await failure(client, service, "a"),
      "service.descriptor_invalid",
    );
    dht.answer = undefined;
    assert.equal(await failure(client, service, "a"), undefined);
  }));

Deno.test("a service's own descriptor of another period is not taken for that of now", () =>
  inTown(async (town) => {
    const { dht, client, service } = town;
    const others = [-1, 1].flatMap((later) =>
      dht.of(blindedOf(town, service, later))
    );
    assert.ok(others.length >= 4, "only one period is published");
    dht.answer = (_, turn) => others[turn % others.length]?.encoded;
    assert.equal(
      await failure(client, service, "a"),
      "service.descriptor_invalid",
    );
  }));

Deno.test("a descriptor that is older than one seen before is refused", () =>
  inTown(async (town) => {
    const { world, dht, client, service } = town;
    const old = [...dht.of(blindedOf(town, service))];
    // Points are drawn anew, and a newer one is published.
    service.driver.onNetworkChange(0);
    await sleep(world.clock, 30_000);
    const [newest] = dht.of(blindedOf(town, service));
    assert.ok((newest?.sequence ?? 0) > (old[0]?.sequence ?? Infinity));
    assert.equal(await failure(client, service, "a"), undefined);
    dht.answer = (key) =>
      old.find((record) => record.key.toHex() === key.toHex())?.encoded ??
        new Uint8Array();
    assert.equal(
      await failure(client, service, "b"),
      "service.descriptor_invalid",
    );
    // Who has seen nothing newer cannot know.
    const newcomer = await world.addClient("newcomer");
    assert.equal(await failure(newcomer, service, "a"), undefined);
  }));

Deno.test("garbage in place of a descriptor is refused, whatever it is", () =>
  inTown(async (town) => {
    const { dht, client, service } = town;
    const blinded = blindedOf(town, service);
    const random = seededRandom(4);
    const honest = (key: Uint8Array) => sameReplica(dht, blinded, key);
    const forge: Record<string, (key: Uint8Array) => Uint8Array> = {
      "one byte": () => new Uint8Array(1),
      "random bytes": () => random.bytes(4_000),
      "a record cut short": (key) => honest(key).subarray(0, 1_000),
      "a record and more": (key) =>
        new Uint8Array([...honest(key), ...random.bytes(10)]),
      "a record of another replica": (key) =>
        dht.of(blinded).find((record) => record.key.toHex() !== key.toHex())
          ?.encoded ?? new Uint8Array(),
    };
    for (let round = 0; round < 12; round++) {
      forge[`a flipped bit, ${round}`] = (key) => {
        const bytes = honest(key).slice();
        const at = Math.floor(bytes.length * round / 12) + 3;
        bytes[at] = (bytes[at] ?? 0) ^ (1 << round % 8);
        return bytes;
      };
    }
    for (const [what, forged] of Object.entries(forge)) {
      dht.answer = forged;
      const code = await failure(client, service, what);
      assert.equal(code, "service.descriptor_invalid", what);
    }
    dht.answer = () => new Uint8Array();
    assert.equal(await failure(client, service, "x"), "service.not_found");
    dht.answer = undefined;
    assert.equal(await failure(client, service, "x"), undefined);
  }));

Deno.test("a descriptor is found though the first who are asked lie", () =>
  inTown(async ({ dht, client, service }) => {
    dht.answer = (_, turn) => turn < 3 ? new Uint8Array(100) : undefined;
    assert.equal(await failure(client, service, "a"), undefined);
  }));

Deno.test("what is stored of a service holds its address in no form", () =>
  inTown((town) => {
    const { dht, service, world } = town;
    const publishers = new Set(
      dht.stored.map(({ publisher }) => publisher.toHex()),
    );
    assert.ok(publishers.size >= 4);
    assert.ok(!publishers.has(service.publicKey.toHex()));
    for (const { encoded } of dht.stored) {
      const text = encoded.toHex();
      assert.ok(!text.includes(service.publicKey.toHex()));
      for (const { role } of world.relays) {
        assert.ok(!text.includes(role.identity.publicKey.toHex()));
      }
      assert.deepEqual(decodeStoredRecord(encoded).encoded, encoded);
    }
    return Promise.resolve();
  }));
