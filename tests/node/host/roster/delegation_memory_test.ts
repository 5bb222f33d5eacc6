import assert from "node:assert/strict";
import { nativeSuite } from "../../../../lib/crypto/native.ts";
import { DelegationMemory } from "../../../../lib/node/host/roster/delegation_memory.ts";
import { PERIOD_MS } from "../../../../lib/service/time_period.ts";
import { MemoryFiles } from "../../../../lib/storage/memory_files.ts";
import { StateDirectory } from "../../../../lib/storage/state_directory.ts";

const crypto = nativeSuite();
const HOUR_MS = 3_600_000;
const NOON = 20_000 * PERIOD_MS + 12 * HOUR_MS;
const WISH = { hosts: 2, days: 7, moved: [] };

async function openState() {
  return await StateDirectory.open("state", {
    files: new MemoryFiles(),
    crypto,
    holder: "test",
    onSetAside: () => {},
  });
}

Deno.test("DelegationMemory keeps hosts their keys from issue to issue, and gives moved and new ones others", async () => {
  const state = await openState();
  const plan = async (wish: object, unixMs: number) =>
    await (await DelegationMemory.load(state, "site"))
      .plan({ ...WISH, ...wish }, unixMs);
  const first = await plan({}, NOON);
  assert.equal(first.issue, Math.floor(NOON / HOUR_MS));
  assert.deepEqual(first.hosts, [
    { slot: 1, born: first.issue },
    { slot: 2, born: first.issue },
  ]);
  // In the same hour, and with a clock that was set back.
  const again = await plan({}, NOON - 5 * HOUR_MS);
  assert.equal(again.issue, first.issue + 1);
  assert.deepEqual(again.hosts, first.hosts);
  const moved = await plan({ hosts: 3, moved: [2] }, NOON + 24 * HOUR_MS);
  assert.deepEqual(moved.hosts, [
    { slot: 1, born: first.issue },
    { slot: 2, born: moved.issue },
    { slot: 3, born: moved.issue },
  ]);
  const fewer = await plan({ hosts: 1 }, NOON + 25 * HOUR_MS);
  const back = await plan({ hosts: 2 }, NOON + 26 * HOUR_MS);
  assert.deepEqual(fewer.hosts, [{ slot: 1, born: first.issue }]);
  // A host that was let go comes back as another.
  assert.equal(back.hosts[1]?.born, back.issue);
  const other = await DelegationMemory.load(state, "other");
  assert.equal(other.issue, 0);
});

Deno.test("a service that hosts serve is not served by its key beside them, until they have lapsed or were let go", async () => {
  const state = await openState();
  const memory = await DelegationMemory.load(state, "site");
  memory.checkServes(NOON);
  await memory.plan(WISH, NOON);
  const endMs = 20_008 * PERIOD_MS;
  const reread = await DelegationMemory.load(state, "site");
  assert.throws(() => reread.checkServes(endMs - 1), {
    code: "delegation.in_force",
    message: /delegated to 2 hosts until 2024-10-12 00:00 UTC.*--hosts 0/,
  });
  reread.checkServes(endMs);
  const { issue } = reread;
  await reread.plan({ ...WISH, hosts: 0 }, NOON);
  reread.checkServes(NOON);
  assert.equal(reread.issue, issue + 1);
});

Deno.test("DelegationMemory refuses what no service can have", async () => {
  const memory = await DelegationMemory.load(await openState(), "site");
  const wrong = [
    [{ hosts: 9 }, "delegation.hosts"],
    [{ hosts: -1 }, "delegation.hosts"],
    [{ hosts: 1.5 }, "delegation.hosts"],
    [{ days: 0 }, "delegation.days"],
    [{ days: 31 }, "delegation.days"],
    [{ moved: [3] }, "delegation.move"],
  ] as const;
  for (const [wish, code] of wrong) {
    await assert.rejects(memory.plan({ ...WISH, ...wish }, NOON), { code });
  }
  assert.equal(memory.issue, 0);
});

Deno.test("a delegation blob that makes no sense is set aside, and all hosts get new keys", async () => {
  const state = await openState();
  await state.blobs.write("delegation-site", Uint8Array.of(0xa0));
  const memory = await DelegationMemory.load(state, "site");
  assert.equal(memory.issue, 0);
  const { hosts, issue } = await memory.plan(WISH, NOON);
  assert.ok(hosts.every(({ born }) => born === issue));
});
