import assert from "node:assert/strict";
import { type RelayKey, relayKey } from "../../lib/path/relay_key.ts";
import { SILENT_FOR_MS, SilentRelays } from "../../lib/path/silent_relays.ts";
import { relay } from "./_relays.ts";

const key = (number: number): RelayKey => relayKey(relay(number).nodeId);
const all = () => true;

Deno.test("SilentRelays counts a relay once, until it answers", () => {
  const silent = new SilentRelays();
  silent.onSilent(key(1), 0);
  silent.onSilent(key(1), 1);
  silent.onSilent(key(2), 2);
  assert.equal(silent.count(all, 3), 2);
  silent.onAnswer(key(1));
  assert.equal(silent.count(all, 3), 1);
  silent.clear();
  assert.equal(silent.count(all, 3), 0);
});

Deno.test("SilentRelays leaves out who is off the list, and counts it when it is back", () => {
  const silent = new SilentRelays();
  silent.onSilent(key(1), 0);
  silent.onSilent(key(2), 0);
  assert.equal(silent.count((listed) => listed === key(2), 1), 1);
  assert.equal(silent.count(all, 1), 2);
});

Deno.test("SilentRelays forgets a relay that was not tried for long", () => {
  const silent = new SilentRelays();
  silent.onSilent(key(1), 0);
  assert.equal(silent.count(all, SILENT_FOR_MS - 1), 1);
  silent.onSilent(key(1), SILENT_FOR_MS - 1);
  assert.equal(silent.count(all, SILENT_FOR_MS), 1);
  assert.equal(silent.count(all, 2 * SILENT_FOR_MS), 0);
});

Deno.test("SilentRelays remembers so many and no more", () => {
  const silent = new SilentRelays();
  for (let n = 0; n < 5000; n++) silent.onSilent(`${n}` as RelayKey, n);
  assert.equal(silent.count(all, 5000), 1024);
});
