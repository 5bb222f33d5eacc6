import assert from "node:assert/strict";
import { networkParameters } from "../../../lib/auth/network.ts";
import type { Bytes } from "../../../lib/base/bytes.ts";
import { UnreachableError } from "../../../lib/base/errors.ts";
import { nativeSuite } from "../../../lib/crypto/native.ts";
import type { RefusalCode } from "../../../lib/dht/messages.ts";
import {
  createStoredRecord,
  selfCertifyingKey,
  type StoredRecord,
} from "../../../lib/dht/records/stored_record.ts";
import type {
  RecordStored,
  ValuesFound,
} from "../../../lib/node/directory/dht_tasks.ts";
import { CircuitDht } from "../../../lib/node/relay/dht_for_circuits.ts";
import { TEST_UNIX_MS, testBytes } from "../../support/nodes.ts";

const crypto = nativeSuite();
const network = networkParameters("local");
const OWNER = crypto.signer(testBytes("owner", 32));
const KEY = selfCertifyingKey(crypto, OWNER.publicKey, 2);

function record(
  changes: { signer?: typeof OWNER; sequence?: number; expiry?: number } = {},
): StoredRecord {
  const { signer = OWNER, sequence = 1 } = changes;
  return createStoredRecord(network, signer, {
    key: KEY,
    sequence,
    expiry: changes.expiry ?? TEST_UNIX_MS + 3_600_000,
    value: testBytes("value", 50),
  });
}

/** A DHT that gives and says what a test wants, and remembers what it was asked. */
function makeDht(end: {
  readonly found?: readonly StoredRecord[];
  readonly copies?: number;
  readonly refused?: readonly (readonly [RefusalCode, number])[];
  readonly error?: Error;
}) {
  const asked: Bytes[] = [];
  const stored: StoredRecord[] = [];
  const finish = <T>(value: T): Promise<T> =>
    end.error ? Promise.reject(end.error) : Promise.resolve(value);
  const dht = new CircuitDht({
    crypto,
    network,
    unixMs: () => TEST_UNIX_MS,
    dht: {
      get(key): Promise<ValuesFound> {
        asked.push(key);
        return finish({ records: end.found ?? [], hops: 1, asked: 9 });
      },
      put(record): Promise<RecordStored> {
        stored.push(record);
        const refused = new Map(end.refused);
        return finish({ copies: end.copies ?? 0, refused });
      },
    },
  });
  return { dht, asked, stored };
}

const get = { type: "dht_get", id: 7, key: KEY } as const;
const put = (encoded: Bytes) =>
  ({ type: "dht_put", id: 8, record: encoded }) as const;

Deno.test("CircuitDht answers a look-up with the record, or that there is none", async () => {
  const { dht, asked } = makeDht({ found: [record()] });
  assert.deepEqual(await dht.answer(get), {
    type: "dht_found",
    id: 7,
    record: record().encoded,
  });
  assert.deepEqual(asked, [KEY]);
  const { dht: empty } = makeDht({});
  assert.deepEqual(await empty.answer(get), { type: "dht_missing", id: 7 });
});

Deno.test("CircuitDht prefers the owner of a key to squatters with higher sequences", async () => {
  const squatter = crypto.signer(testBytes("squatter", 32));
  const found = [
    record({ signer: squatter, sequence: 999 }),
    record({ sequence: 3 }),
    record({ signer: squatter, sequence: 1000 }),
  ];
  const { dht } = makeDht({ found });
  assert.deepEqual(await dht.get(KEY), found[1]?.encoded);
});

Deno.test("CircuitDht gives the newest of an open key's records", async () => {
  const others = [3, 9, 5].map((sequence) =>
    record({
      signer: crypto.signer(testBytes(`publisher ${sequence}`, 32)),
      sequence,
    })
  );
  const { dht } = makeDht({ found: others });
  assert.deepEqual(await dht.get(KEY), others[1]?.encoded);
});

Deno.test("CircuitDht stores a record, and tells on how many nodes", async () => {
  const { dht, stored } = makeDht({ copies: 17, refused: [["quota", 3]] });
  assert.deepEqual(await dht.answer(put(record().encoded)), {
    type: "dht_stored",
    id: 8,
    copies: 17,
  });
  assert.deepEqual(stored, [record()]);
});

Deno.test("CircuitDht looks nothing up for a record that no node would store", async () => {
  const { dht, stored } = makeDht({ copies: 20 });
  const { encoded } = record();
  for (
    const bad of [
      encoded.with(-1, 1),
      encoded.subarray(1).slice(),
      new Uint8Array(),
      new Uint8Array(40_000),
      Uint8Array.of(...encoded, 0),
      record({ expiry: TEST_UNIX_MS }).encoded,
      record({ expiry: TEST_UNIX_MS + 48 * 3_600_000 }).encoded,
    ]
  ) {
    assert.deepEqual(await dht.answer(put(bad)), {
      type: "dht_rejected",
      id: 8,
      code: "invalid",
    });
  }
  assert.deepEqual(stored, []);
});

Deno.test("CircuitDht tells why no node took a record", async () => {
  const cases = [
    [[], "unreachable"],
    [[["older_sequence", 3], ["quota", 1]], "older"],
    [[["quota", 3], ["older_sequence", 1]], "overloaded"],
    [[["busy", 1]], "overloaded"],
    [[["expired", 5]], "invalid"],
    [[["too_far_in_future", 5]], "invalid"],
    [[["not_closest", 5]], "overloaded"],
  ] as const;
  for (const [refused, code] of cases) {
    const { dht } = makeDht({ refused });
    const answer = await dht.answer(put(record().encoded));
    assert.deepEqual(answer, { type: "dht_rejected", id: 8, code });
  }
});

Deno.test("CircuitDht answers also when the DHT is busy, or the circuit has gone", async () => {
  const error = new UnreachableError("dht.busy", "Cannot look up");
  const { dht } = makeDht({ error });
  assert.deepEqual(await dht.answer(get), { type: "dht_missing", id: 7 });
  assert.deepEqual(await dht.answer(put(record().encoded)), {
    type: "dht_rejected",
    id: 8,
    code: "overloaded",
  });
  const reason = new Error("gone");
  const { dht: other } = makeDht({ error: reason });
  const signal = AbortSignal.abort(reason);
  assert.equal((await other.answer(get, signal)).type, "dht_missing");
  await assert.rejects(other.answer(get), reason);
});
