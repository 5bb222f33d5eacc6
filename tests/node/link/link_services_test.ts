import assert from "node:assert/strict";
import type { Link } from "../../../lib/node/link/link.ts";
import { LinkServices } from "../../../lib/node/link/link_services.ts";
import type { ByteStream } from "../../../lib/transport/transport.ts";
import { BugError } from "../../../lib/base/errors.ts";
import { RecordingLog } from "../../support/recording_log.ts";

const SIGNAL = new AbortController().signal;
/** Passed through, never looked into. */
const LINK = {} as Link;

Deno.test("LinkServices hands a request to the part that answers its method", async () => {
  const services = new LinkServices(new RecordingLog());
  services.answer("a.double", (_link, body) => new Uint8Array(2 * body.length));
  const ask = (method: string) =>
    services.onRequest(LINK, method, new Uint8Array(3), SIGNAL);
  assert.equal((await ask("a.double"))?.length, 6);
  for (const method of ["a.treble", "constructor", "__proto__", ""]) {
    assert.equal(await ask(method), undefined, method);
  }
});

Deno.test("LinkServices passes on what a part throws", async () => {
  const services = new LinkServices(new RecordingLog());
  services.answer("a.fail", () => {
    throw new RangeError("no");
  });
  await assert.rejects(
    services.onRequest(LINK, "a.fail", new Uint8Array(), SIGNAL),
    RangeError,
  );
});

Deno.test("LinkServices refuses a second part for the same thing", () => {
  const services = new LinkServices(new RecordingLog());
  services.answer("a.b", () => new Uint8Array());
  assert.throws(() => services.answer("a.b", () => new Uint8Array()), BugError);
  services.takeCircuits(() => {});
  assert.throws(() => services.takeCircuits(() => {}), BugError);
});

Deno.test("LinkServices ends circuits that no part takes", () => {
  const services = new LinkServices(new RecordingLog());
  const seen: string[] = [];
  const stream = { cancel: () => seen.push("ended") } as unknown as ByteStream;
  services.onCircuit(LINK, stream);
  services.takeCircuits(() => seen.push("taken"));
  services.onCircuit(LINK, stream);
  assert.deepEqual(seen, ["ended", "taken"]);
});

Deno.test("LinkServices tells every listener until it is disposed of", () => {
  const services = new LinkServices(new RecordingLog());
  const seen: string[] = [];
  const first = services.listen({ onLink: () => seen.push("first") });
  services.listen({
    onLink: () => seen.push("second"),
    onLinkClosed: (_link, { reason }) => seen.push(reason),
  });
  services.onLink(LINK);
  first[Symbol.dispose]();
  services.onLink(LINK);
  services.onLinkClosed(LINK, { reason: "link.idle", by: "local" });
  assert.deepEqual(seen, ["first", "second", "second", "link.idle"]);
});

Deno.test("LinkServices logs failures of our own as bugs", () => {
  const log = new RecordingLog();
  new LinkServices(log).onError(new TypeError("x is undefined"));
  assert.equal(log.lines[0]?.level, "error");
  assert.match(log.lines[0]?.message ?? "", /^A bug/);
});
