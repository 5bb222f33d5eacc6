import assert from "node:assert/strict";
import type { NodeRecord } from "../../lib/auth/node_record.ts";
import type { PathSelector } from "../../lib/path/path_selection.ts";
import { describeShortage, explainShortage } from "../../lib/path/shortage.ts";
import { relays, testSelector } from "./_relays.ts";

/** A path over these, as far as the first could be built. */
function fail(
  selector: PathSelector,
  path: readonly NodeRecord[],
  hop: number,
) {
  for (let hops = 1; hops <= hop; hops++) selector.onReached(path, hops);
  selector.onFailed(path, hop, 0);
}

Deno.test("PathSelector.shortage() counts relays that do not answer, until too few are left", () => {
  const list = relays(7);
  const { selector } = testSelector(list);
  const [guard] = selector.guards.inUse;
  assert.ok(guard !== undefined);
  const first = guard.record;
  const others = list.filter((record) => record !== first);
  for (const dead of others.slice(0, 3)) fail(selector, [first, dead], 1);
  assert.equal(selector.shortage(4, 0), undefined);
  const [, , , dead, alive] = others;
  assert.ok(dead !== undefined && alive !== undefined);
  fail(selector, [first, dead], 1);
  assert.deepEqual(selector.shortage(4, 0), {
    reason: "too_few_relays",
    known: 7,
    silent: 4,
    needed: 4,
  });
  selector.onReached([first, alive, dead], 3);
  assert.equal(selector.shortage(4, 0), undefined);
});

Deno.test("PathSelector.shortage() says that no guard answers only when none does", () => {
  const { selector } = testSelector(relays(30));
  const [a, b] = selector.guards.inUse;
  assert.ok(a !== undefined && b !== undefined);
  fail(selector, [a.record], 0);
  assert.equal(selector.shortage(4, 0), undefined);
  fail(selector, [b.record], 0);
  assert.deepEqual(selector.shortage(4, 0), {
    reason: "guards_down",
    known: 30,
    silent: 2,
    needed: 4,
  });
  selector.onReached([b.record], 1);
  assert.equal(selector.shortage(4, 0), undefined);
});

Deno.test("PathSelector.shortage() counts a short list as one, and forgets what failed on another network", () => {
  const { selector } = testSelector(relays(3));
  assert.equal(selector.shortage(4, 0)?.reason, "too_few_relays");
  const { selector: other } = testSelector(relays(5));
  for (const { record } of other.guards.inUse) fail(other, [record], 0);
  assert.equal(other.shortage(4, 0)?.reason, "guards_down");
  other.onNetworkChange();
  assert.equal(other.count(4, 0).silent, 0);
});

Deno.test("describeShortage() has the figures, whatever is short", () => {
  for (
    const reason of ["guards_down", "guards_missing", "too_few_relays"] as const
  ) {
    const text = describeShortage({ reason, known: 7, silent: 4, needed: 5 });
    assert.match(text, /7 relays known, 4 of them silent, 5 needed/);
  }
});

Deno.test("explainShortage() leaves figures out where a page could tell a client by them", () => {
  const count = { known: 5213, silent: 2, needed: 4 };
  for (const reason of ["guards_down", "guards_missing"] as const) {
    assert.doesNotMatch(explainShortage({ reason, ...count }), /[0-9]/);
  }
  assert.match(
    explainShortage({
      reason: "too_few_relays",
      known: 7,
      silent: 4,
      needed: 4,
    }),
    /7 relays known, 4 of them silent, 4 needed/,
  );
});
