import assert from "node:assert/strict";
import fc from "fast-check";
import { ProtocolError } from "../../../lib/base/errors.ts";
import { VirtualClock } from "../../../lib/base/virtual_clock.ts";
import { fetchList } from "../../../lib/share/download/share_list.ts";
import { LIST_TYPE } from "../../../lib/share/share_page.ts";
import { createDrain } from "../../../lib/sim/world/drain.ts";
import { HOST } from "../../proxy/world.ts";
import { runOn } from "../../transport/world.ts";

const BASE = new URL(`http://${HOST}/secret/`);
const SUM = "0".repeat(64);

function entry(name: string, more: Record<string, unknown> = {}) {
  return { name, bytes: 1, sha256: SUM, href: "./x", ...more };
}

async function listOf(answer: () => Response) {
  const clock = new VirtualClock({ drain: createDrain() });
  let outcome: unknown;
  await runOn(
    clock,
    (async () => {
      try {
        outcome = await fetchList({
          clock,
          fetch: () => Promise.try(answer),
          url: BASE,
          patienceMs: 10_000,
          on: { onRetry() {} },
        }, { signal: new AbortController().signal });
      } catch (error) {
        outcome = error;
      }
    })(),
  );
  return outcome;
}

function parsed(text: string) {
  return listOf(() =>
    new Response(text, { headers: { "content-type": LIST_TYPE } })
  );
}

async function namesOf(...names: string[]): Promise<string[]> {
  const files = names.map((name) => entry(name));
  const list = await parsed(JSON.stringify({ files }));
  assert.ok(Array.isArray(list), String(list));
  return list.map(({ name }) => name.join("/"));
}

Deno.test("fetchList() reads names that are fit for a disk, and keeps files apart", async () => {
  assert.deepEqual(
    await namesOf("a.txt", "A.txt", "a.txt", "d/con", "\u202Ea.txt"),
    ["a.txt", "A (2).txt", "a (3).txt", "d/_con", "a (4).txt"],
  );
  const same = await namesOf(...Array.from({ length: 10_000 }, () => "x"));
  assert.equal(new Set(same).size, 10_000);
});

Deno.test("fetchList() refuses lists of strangers that lead elsewhere, or make no sense", async () => {
  const files: readonly unknown[] = [
    null,
    entry("../x"),
    entry("/x"),
    entry("a//b"),
    entry(""),
    entry("x", { href: "http://other.anon/x" }),
    entry("x", { href: "https://example.com/" }),
    entry("x", { href: "//example.com/" }),
    entry("x", { href: 1 }),
    entry("x", { bytes: -1 }),
    entry("x", { bytes: 1.5 }),
    entry("x", { bytes: "1" }),
    entry("x", { sha256: "00" }),
    entry("x", { sha256: undefined }),
  ];
  const texts = [
    ...files.map((file) => JSON.stringify({ files: [file] })),
    ...["", "{", "null", "[]", '{"files":1}', "\u0000"],
    JSON.stringify({ files: Array.from({ length: 10_001 }, () => entry("x")) }),
    `{"files":["${"x".repeat(17 * 1024 * 1024)}"]}`,
  ];
  for (const text of texts) {
    const error = await parsed(text);
    assert.ok(error instanceof ProtocolError, text.slice(0, 100));
    assert.equal(error.code, "get.list");
  }
});

Deno.test("fetchList() gives a list or an error of its own, whatever comes", async () => {
  await fc.assert(
    fc.asyncProperty(fc.jsonValue(), async (value) => {
      const list = await parsed(JSON.stringify({ files: value }));
      assert.ok(Array.isArray(list) || list instanceof ProtocolError);
    }),
    { numRuns: 50 },
  );
});

Deno.test("fetchList() knows pages that are no share, and tries again what may come back", async () => {
  assert.equal(await listOf(() => new Response("<p>")), undefined);
  let count = 0;
  const list = await listOf(() =>
    ++count < 3
      ? new Response("", { status: 503 })
      : new Response('{"files":[]}', { headers: { "content-type": LIST_TYPE } })
  );
  assert.deepEqual(list, []);
  const error = await listOf(() => new Response("", { status: 404 }));
  assert.match(String(error), /is the link whole/);
});
