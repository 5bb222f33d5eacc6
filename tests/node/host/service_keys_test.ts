import assert from "node:assert/strict";
import { Identity } from "../../../lib/auth/identity.ts";
import { concat, formatBase32 } from "../../../lib/base/bytes.ts";
import { ConfigError } from "../../../lib/base/errors.ts";
import { seededRandom } from "../../../lib/base/random.ts";
import { nativeSuite } from "../../../lib/crypto/native.ts";
import { SILENT_LOG } from "../../../lib/log/log.ts";
import {
  ClientKeys,
  loadServiceIdentity,
  parseClientKey,
  serviceFileName,
  serviceHostOf,
  ServiceMemory,
} from "../../../lib/node/host/service_keys.ts";
import { clientPublicKey } from "../../../lib/service/client_authorisation.ts";
import { MemoryFiles } from "../../../lib/storage/memory_files.ts";
import { StateDirectory } from "../../../lib/storage/state_directory.ts";
import { encodeCbor } from "../../../lib/wire/cbor.ts";

const crypto = nativeSuite();
const key = (n: number) => new Uint8Array(32).fill(n);

async function openState(files = new MemoryFiles()) {
  const setAside: string[] = [];
  const state = await StateDirectory.open("state", {
    files,
    crypto,
    holder: "test",
    onSetAside: ({ path }) => setAside.push(path),
  });
  return { state, files, setAside };
}

Deno.test("loadServiceIdentity() makes a key once, and finds it at every later start", async () => {
  const { state, files } = await openState();
  const runtime = { crypto, random: seededRandom(1), log: SILENT_LOG };
  const first = await loadServiceIdentity(state, "web", runtime);
  const again = await loadServiceIdentity(state, "web", runtime);
  const other = await loadServiceIdentity(state, "mail", runtime);
  assert.deepEqual(again.publicKey, first.publicKey);
  assert.notDeepEqual(other.publicKey, first.publicKey);
  const names = await files.list("state");
  assert.deepEqual(
    names.filter((name) => name.endsWith(".key")).sort(),
    ["service-mail.key", "service-web.key"],
  );
});

Deno.test("serviceFileName() refuses names that files should not have", () => {
  assert.equal(serviceFileName("my-site-2"), "service-my-site-2");
  for (const name of ["", "Web", "a b", "../x", "a/b", "x".repeat(33), "é"]) {
    assert.throws(
      () => serviceFileName(name),
      (error) => error instanceof ConfigError && error.code === "service.name",
    );
  }
});

Deno.test("ServiceMemory keeps the last revisions, and goes on without a torn one", async () => {
  const { state, files, setAside } = await openState();
  const revision = async (name = "web") =>
    (await (await ServiceMemory.load(state, name)).read()).get(20_454) ?? 0;
  assert.equal(await revision(), 0);
  const memory = await ServiceMemory.load(state, "web");
  await memory.write(20_454, 1_767_225_600_000);
  assert.equal(await revision(), 1_767_225_600_000);
  assert.equal(await revision("mail"), 0);
  files.plant("state/service-web.blob", new Uint8Array(20));
  assert.equal(await revision(), 0);
  assert.equal(setAside.length, 1);
  await state.blobs.write("service-web", new Uint8Array([0xa0]));
  assert.equal(await revision(), 0, "whole, but of no sense");
  assert.equal(setAside.length, 2);
});

Deno.test("ServiceMemory keeps over every revision that only some clients may find a service", async () => {
  const { state } = await openState();
  // As earlier versions wrote it.
  await state.blobs.write("service-web", encodeCbor({ revision: 7 }));
  const name = "web";
  const clients = [new Uint8Array(32).fill(9)];
  const memory = await ServiceMemory.load(state, name);
  memory.check({ name });
  await memory.take({ name, clients });
  assert.deepEqual(await memory.read(), new Map());
  for (let period = 1; period <= 9; period++) await memory.write(period, 8);
  await memory.write(7, 9);
  const later = await ServiceMemory.load(state, name);
  const kept = new Map([[6, 8], [8, 8], [9, 8], [7, 9]]);
  assert.deepEqual(await later.read(), kept);
  assert.throws(() => later.check({ name }), { code: "service.restricted" });
  await later.take({ name, isPublic: true });
  assert.deepEqual(
    await (await ServiceMemory.load(state, name)).read(),
    kept,
  );
  (await ServiceMemory.load(state, name)).check({ name });
});

Deno.test("ClientKeys makes a key that a node which runs uses at once", async () => {
  const { state } = await openState();
  const runtime = { crypto, random: seededRandom(1) };
  const keys = new ClientKeys(state, runtime);
  await keys.load();
  const random = seededRandom(2);
  const service = Identity.generate(crypto, random).publicKey;
  assert.equal(keys.secret(service), undefined);
  const text = await keys.keyFor(serviceHostOf(crypto, service));
  const secret = keys.secret(service);
  assert.ok(secret !== undefined);
  assert.equal(text, formatBase32(clientPublicKey(crypto, secret)));
  await assert.rejects(keys.keyFor("foo"), { name: "ConfigError" });
});

Deno.test("ClientKeys has another key for each service, the same at each start, and none without client.key", async () => {
  const { state } = await openState();
  const runtime = { crypto, random: seededRandom(1) };
  const host = serviceHostOf(crypto, new Identity(crypto, key(1)).publicKey);
  const keys = new ClientKeys(state, runtime);
  await keys.load();
  assert.equal(keys.secret(key(1)), undefined);
  const text = await keys.keyFor(host);
  assert.equal(await keys.keyFor(host), text, "the first one stays");
  const [one, two] = [keys.secret(key(1)), keys.secret(key(2))];
  assert.ok(one !== undefined && two !== undefined);
  assert.notDeepEqual(one, two);
  assert.deepEqual(keys.secret(key(1)), one);
  const later = new ClientKeys(state, runtime);
  await later.load();
  assert.deepEqual(later.secret(key(1)), one);
  assert.equal(await later.keyFor(host), text);
});

Deno.test("parseClientKey() reads the base32 of a key, and refuses everything else", () => {
  const both = (x25519: number, shared: number) =>
    formatBase32(concat(key(x25519), key(shared)));
  const text = both(7, 8);
  assert.equal(text.length, 103);
  assert.deepEqual(
    parseClientKey(` ${text.toUpperCase()}\n`),
    concat(key(7), key(8)),
  );
  const wrong = [
    "",
    text.slice(1),
    text + "a",
    text.replace(/^./, "1"),
    both(0, 1),
    both(1, 0),
    "é".repeat(103),
  ];
  for (const text of wrong) {
    assert.throws(
      () => parseClientKey(text),
      (error) =>
        error instanceof ConfigError && error.code === "service.client_key",
    );
  }
});

Deno.test("parseClientKey() says of a key without a shared secret that it is of an earlier version", () => {
  assert.throws(
    () => parseClientKey(formatBase32(key(7))),
    { code: "service.client_key", message: /earlier version/ },
  );
});
