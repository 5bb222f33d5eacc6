import assert from "node:assert/strict";
import { parseInvite } from "../../../lib/auth/invite.ts";
import { formatNodeAddress } from "../../../lib/auth/node_address.ts";
import { utf8Text } from "../../../lib/base/bytes.ts";
import { nobleSuite } from "../../../lib/crypto/noble.ts";
import { DhtMemory } from "../../../lib/node/directory/dht_memory.ts";
import { StateDirectory } from "../../../lib/storage/state_directory.ts";
import { inviteLine, Operator, relay } from "./network_world.ts";

const crypto = nobleSuite();
const DAY_MS = 86_400_000;

/** An operator whose node has run in a network of its own, and knew some relays. */
async function founder(relays: readonly number[]): Promise<Operator> {
  const operator = new Operator();
  await operator.do(["network", "create", "garden", "--local", "--state=a"]);
  using state = await StateDirectory.open("a", {
    files: operator.files,
    crypto,
    holder: "test",
    onSetAside: () => assert.fail(),
  });
  await new DhtMemory(crypto, state.blobs).writeContacts(relays.map(relay));
  return operator;
}

Deno.test("anonnet invite prints one line, of relays that the last run knew", async () => {
  const operator = await founder([1, 2, 3, 4]);
  const { code, printed, told } = await operator.run(["invite", "--state=a"]);
  assert.equal(code, 0, told);
  const invite = parseInvite(crypto, printed);
  assert.deepEqual(
    invite.relays.map(formatNodeAddress).sort(),
    [1, 2, 3, 4].map(relay).map(formatNodeAddress).sort(),
  );
  assert.equal(invite.network.name, "garden");
  const leftMs = invite.expiryMs - Date.now();
  assert.ok(leftMs <= 7 * DAY_MS && leftMs > 7 * DAY_MS - 120_000);
  assert.match(told, /an invite to network "garden", valid until/);
  assert.ok(!told.includes("should name"));
});

Deno.test("anonnet invite keeps to --expires, and refuses what is no time", async () => {
  const operator = await founder([1, 2]);
  const line = await operator.do(["invite", "--state=a", "--expires=30m"]);
  const leftMs = parseInvite(crypto, line).expiryMs - Date.now();
  assert.ok(leftMs <= 30 * 60_000 && leftMs > 28 * 60_000);
  for (const text of ["0m", "7", "7w", "366d", "-1d", "d", "1.5h"]) {
    const words = ["invite", "--state=a", `--expires=${text}`];
    const { code, told } = await operator.run(words);
    assert.equal(code, 2, told);
    assert.match(told, /write a time such as 30m, 12h or 7d/);
  }
});

Deno.test("anonnet invite says that few relays make a weak invite, and makes none of none", async () => {
  const weak = await (await founder([1])).run(["invite", "--state=a"]);
  assert.equal(weak.code, 0);
  assert.match(weak.told, /names 1 of the 3 relays that an invite should name/);
  const none = await (await founder([])).run(["invite", "--state=a"]);
  assert.equal(none.code, 1);
  assert.match(none.told, /knows no relay that others could join by/);
});

Deno.test("anonnet invite --file writes a private file, never over another, and prints nothing", async () => {
  const operator = await founder([1, 2, 3]);
  const words = ["invite", "--state=a", "--file=invite.txt"];
  assert.equal(await operator.do(words), "");
  const text = utf8Text(
    await operator.files.read("invite.txt") ?? new Uint8Array(),
  );
  assert.equal(parseInvite(crypto, text).relays.length, 3);
  const again = await operator.run(words);
  assert.equal(again.code, 1);
  assert.match(again.told, /Cannot write "invite\.txt"/);
});

Deno.test("anonnet invite --qr shows a code of at most 80 columns, and the line that is in it", async () => {
  const operator = await founder([1, 2, 3, 4, 5]);
  const rows = (await operator.do(["invite", "--state=a", "--qr"])).split("\n");
  const line = rows.pop() ?? "";
  assert.equal(parseInvite(crypto, line).relays.length, 3);
  const widths = rows.map((row) =>
    // deno-lint-ignore no-control-regex
    row.replaceAll(/\x1b\[[0-9;]*m/g, "").length
  );
  assert.equal(new Set(widths).size, 1);
  assert.ok((widths[0] ?? 0) > 60 && (widths[0] ?? 0) <= 80);
});

Deno.test("anonnet invite of a member passes on the invite that it joined by, while that is valid", async () => {
  const operator = new Operator();
  const long = inviteLine({ relays: [1, 2], lifeMs: DAY_MS });
  await operator.do(["join", long, "--state=b"]);
  await operator.do(["join", inviteLine(), "--state=b"]);
  const { code, printed, told } = await operator.run(
    ["invite", "--state=b", "--json"],
  );
  assert.equal(code, 0, told);
  const { line, by } = JSON.parse(printed);
  assert.deepEqual([line, by], [long, "passed_on"]);
  assert.match(told, /does not hold the network's key, and passes on/);
});

Deno.test("anonnet invite without a key and without an invite says who has one", async () => {
  const operator = new Operator();
  const nowhere = await operator.run(["invite", "--state=nowhere"]);
  assert.equal(nowhere.code, 1);
  assert.match(nowhere.told, /"nowhere", which is not there/);
  assert.equal(await operator.files.facts("nowhere"), undefined);
  await operator.files.makeDirectory("c");
  const { code, told } = await operator.run(["invite", "--state=c"]);
  assert.equal(code, 1);
  assert.match(
    told,
    /does not hold the key of network "main", and it joined by no/,
  );
});

Deno.test("anonnet invite refuses a key that is not the network's", async () => {
  const operator = new Operator();
  await operator.do(["join", inviteLine(), "--state=b"]);
  await operator.do(["keygen", "--out=b/network.key"]);
  const { code, told } = await operator.run(["invite", "--state=b"]);
  assert.equal(code, 1);
  assert.match(told, /Cannot use key "b\/network\.key": it is .*has the key/);
});
