import assert from "node:assert/strict";
import { ProtocolError, UnreachableError } from "../../../lib/base/errors.ts";
import { VirtualClock } from "../../../lib/base/virtual_clock.ts";
import {
  download,
  type Entity,
  STALL_MS,
} from "../../../lib/share/download/download.ts";
import { etagOf, formatReprDigest } from "../../../lib/share/file_digest.ts";
import { createDrain } from "../../../lib/sim/world/drain.ts";
import { HOST } from "../../proxy/world.ts";
import { runOn } from "../../transport/world.ts";
import { MemoryPart, noting, sha256 } from "./memory_part.ts";

const FILE = new Uint8Array(1_000).map((_, index) => index % 251);
const OTHER = FILE.map((byte) => byte ^ 1);
const ETAG = etagOf(sha256(FILE));
const URL_ = new URL(`http://${HOST}/f`);
const FACTS: Entity = { etag: ETAG, bytes: FILE.length, digest: sha256(FILE) };

type Answer = (headers: Headers) => Response | Promise<Response>;

/** The whole, or the part that is asked for, as a share answers. */
function whole(file: Uint8Array<ArrayBuffer> = FILE): Answer {
  return (headers) => {
    const about = {
      etag: etagOf(sha256(file)),
      "repr-digest": formatReprDigest(sha256(file)),
    };
    const [, from = ""] = /^bytes=(\d+)-$/.exec(headers.get("range") ?? "") ??
      [];
    const isSame = headers.get("if-range") === about.etag;
    if (from === "" || !isSame) {
      const length = { "content-length": String(file.length) };
      return new Response(file, { headers: { ...about, ...length } });
    }
    const part = file.slice(Number(from));
    return new Response(part, {
      status: 206,
      headers: {
        ...about,
        "content-length": String(part.length),
        "content-range": `bytes ${from}-${file.length - 1}/${file.length}`,
      },
    });
  };
}

/** The same, cut after so many bytes. */
function cut(bytes: number, answer: Answer = whole()): Answer {
  return async (headers) => {
    const { status, headers: fields, body } = await answer(headers);
    const content = await new Response(body).bytes();
    let isSent = false;
    const stream = new ReadableStream({
      pull(controller) {
        if (isSent) return controller.error(new TypeError("broken"));
        isSent = true;
        controller.enqueue(content.slice(0, bytes));
      },
    });
    return new Response(stream, { status, headers: fields });
  };
}

function refusing(status: number, headers: HeadersInit = {}): Answer {
  return () => new Response("no", { status, headers });
}

function unreachable(): never {
  throw new UnreachableError("service.timeout", "Cannot reach it");
}

/** Run a download against answers, the last of which goes on for ever. */
async function run(
  answers: readonly Answer[],
  { part = new MemoryPart(), patienceMs = 60_000, digest, bytes }: {
    part?: MemoryPart;
    patienceMs?: number;
    digest?: Uint8Array<ArrayBuffer>;
    bytes?: number;
  } = {},
) {
  const clock = new VirtualClock({ drain: createDrain() });
  const said: string[] = [];
  const asked: (string | null)[] = [];
  let outcome: unknown;
  let index = 0;
  await runOn(
    clock,
    (async () => {
      try {
        outcome = await download({
          clock,
          fetch: async (_url, { headers }) => {
            asked.push(headers.get("range"));
            const answer = answers[Math.min(index++, answers.length - 1)];
            return await answer?.(headers) ?? unreachable();
          },
          url: URL_,
          part,
          patienceMs,
          digest,
          bytes,
          on: noting(said),
        }, { signal: new AbortController().signal });
      } catch (error) {
        outcome = error;
      }
    })(),
  );
  return { outcome, said, asked, part, tookMs: clock.nowMs() };
}

Deno.test("download() brings a file, and compares it", async () => {
  const { outcome, part, said } = await run([whole()]);
  assert.equal(outcome, "verified");
  assert.deepEqual(part.content, FILE);
  assert.deepEqual(said, []);
});

Deno.test("download() goes on where it was cut, with waits that grow until something comes", async () => {
  const { outcome, part, said, asked } = await run([
    cut(300),
    unreachable,
    unreachable,
    cut(300),
    refusing(503),
    whole(),
  ]);
  assert.equal(outcome, "verified");
  assert.deepEqual(part.content, FILE);
  assert.deepEqual(asked, [
    null,
    ...["bytes=300-", "bytes=300-", "bytes=300-", "bytes=600-", "bytes=600-"],
  ]);
  assert.deepEqual(said, [
    "retry 1000 TypeError",
    "retry 2000 UnreachableError",
    "retry 4000 UnreachableError",
    "resume 300",
    "retry 1000 TypeError",
    "retry 2000 AnonNetError",
    "resume 600",
  ]);
});

Deno.test("download() goes on with the part of an earlier run, and asks nothing where that is all", async () => {
  const half = new MemoryPart(FILE.slice(0, 500), FACTS);
  assert.equal((await run([whole()], { part: half })).outcome, "verified");
  assert.deepEqual(half.content, FILE);
  const all = await run([unreachable], { part: new MemoryPart(FILE, FACTS) });
  assert.deepEqual([all.outcome, all.asked], ["verified", []]);
});

Deno.test("download() begins anew where the file is another one", async () => {
  const part = new MemoryPart(FILE.slice(0, 500), FACTS);
  const { outcome, said } = await run([whole(OTHER)], { part });
  assert.equal(outcome, "verified");
  assert.deepEqual(part.content, OTHER);
  assert.deepEqual(said, ["anew"]);
});

Deno.test("download() takes no part that does not follow, or that is of another file", async () => {
  const liars: Answer[] = [
    () =>
      new Response(OTHER.slice(400), {
        status: 206,
        headers: { etag: ETAG, "content-range": "bytes 400-999/1000" },
      }),
    () =>
      new Response(OTHER.slice(500), {
        status: 206,
        headers: { etag: '"x"', "content-range": "bytes 500-999/1000" },
      }),
    () =>
      new Response(OTHER.slice(500), {
        status: 206,
        headers: { etag: ETAG, "content-range": "bytes 500-998/1001" },
      }),
    () => new Response(OTHER.slice(500), { status: 206 }),
  ];
  for (const liar of liars) {
    const part = new MemoryPart(FILE.slice(0, 500), FACTS);
    const { outcome, said } = await run([liar, whole()], { part });
    assert.equal(outcome, "verified");
    assert.deepEqual(part.content, FILE);
    assert.equal(said[0], "anew");
  }
});

Deno.test("download() refuses bytes that are not what the sender, or the list, says", async () => {
  const wrong: Answer = (headers) => {
    const { headers: about } = whole()(headers) as Response;
    return new Response(OTHER, { headers: about });
  };
  const sent = await run([wrong]);
  assert.equal((sent.outcome as UnreachableError).code, "get.digest");
  assert.equal(sent.part.bytes, 0);
  const listed = await run([whole()], { digest: sha256(OTHER) });
  assert.equal((listed.outcome as UnreachableError).code, "get.digest");
  assert.equal(listed.asked.length, 1);
});

Deno.test("download() begins anew once where what was resumed turns out wrong", async () => {
  const spoilt = new MemoryPart(OTHER.slice(0, 500), FACTS);
  const mended = await run([whole()], { part: spoilt });
  assert.equal(mended.outcome, "verified");
  assert.deepEqual(mended.said, ["resume 500", "anew"]);
  // A service that never gives what it says is not asked for ever.
  const liar = cut(500, (headers) => {
    const { status, headers: about } = whole()(headers) as Response;
    return new Response(
      OTHER.slice(FILE.length - Number(about.get("content-length"))),
      { status, headers: about },
    );
  });
  const { outcome, asked } = await run([liar]);
  assert.equal((outcome as UnreachableError).code, "get.digest");
  assert.ok(asked.length < 10, `${asked.length}`);
});

Deno.test("download() gives up at once what another try does not change", async () => {
  for (const status of [400, 401, 403, 404, 409, 410, 412, 451, 501]) {
    const { outcome, asked } = await run([refusing(status)]);
    assert.equal((outcome as UnreachableError).code, "get.status");
    assert.match(
      (outcome as UnreachableError).message,
      new RegExp(`${status}`),
    );
    assert.equal(asked.length, 1);
  }
});

Deno.test("download() gives up when nothing has come for as long as it may wait, and keeps what is there", async () => {
  const { outcome, part, tookMs } = await run([cut(300), unreachable], {
    patienceMs: 90_000,
  });
  assert.equal((outcome as UnreachableError).code, "get.gave_up");
  assert.equal(part.bytes, 300);
  assert.ok(tookMs > 70_000 && tookMs <= 90_000, `${tookMs}`);
  const impatient = await run([unreachable], { patienceMs: 0 });
  assert.equal(impatient.asked.length, 1);
});

Deno.test("download() waits as long as a busy service asks, within reason", async () => {
  const { said } = await run([
    refusing(503, { "retry-after": "20" }),
    refusing(503, { "retry-after": "99999" }),
    whole(),
  ], { patienceMs: 200_000 });
  assert.deepEqual(said, [
    "retry 20000 AnonNetError",
    "retry 60000 AnonNetError",
  ]);
});

Deno.test("download() leaves a connection on which nothing comes", async () => {
  const silent: Answer = () =>
    new Response(new ReadableStream({ pull: () => new Promise(() => {}) }), {
      headers: { "content-length": "1000", etag: ETAG },
    });
  const { outcome, said, tookMs } = await run([silent, whole()], {
    patienceMs: 10 * STALL_MS,
  });
  assert.equal(outcome, "verified");
  assert.deepEqual(said, ["retry 1000 UnreachableError"]);
  assert.ok(tookMs >= STALL_MS && tookMs < STALL_MS + 5_000);
});

Deno.test("download() stops a service that sends more than it said", async () => {
  const flood: Answer = () =>
    new Response(new Uint8Array(2_000), {
      headers: { "content-length": "1000" },
    });
  const { outcome, part } = await run([flood]);
  assert.equal((outcome as UnreachableError).code, "get.range");
  assert.ok(part.bytes <= 1_000);
});

Deno.test("download() takes files of services that state neither length nor sum nor tag", async () => {
  const plain: Answer = () => new Response(ReadableStream.from([FILE]));
  const { outcome, part } = await run([cut(300, plain), plain]);
  assert.equal(outcome, "unverified");
  assert.deepEqual(part.content, FILE);
});

Deno.test("download() understands that nothing is missing, or that the file has become shorter", async () => {
  const part = () => new MemoryPart(FILE, { ...FACTS, bytes: undefined });
  const all = await run([
    refusing(416, { "content-range": "bytes */1000" }),
  ], { part: part() });
  assert.equal(all.outcome, "verified");
  const shorter = await run([
    refusing(416, { "content-range": "bytes */500" }),
    whole(),
  ], { part: part() });
  assert.equal(shorter.outcome, "verified");
  assert.deepEqual(shorter.asked, ["bytes=1000-", null]);
});

Deno.test("download() takes no more of a file than the list of a share says, and no other length", async () => {
  const endless: Answer = () =>
    new Response(
      new ReadableStream({
        pull: (controller) => controller.enqueue(new Uint8Array(400)),
      }),
    );
  const bytes = FILE.length;
  const digest = sha256(FILE);
  const more = await run([endless], { bytes, digest });
  assert.ok(more.outcome instanceof ProtocolError);
  assert.equal(more.outcome.code, "get.range");
  assert.ok(more.part.bytes <= bytes, String(more.part.bytes));
  const longer = new Uint8Array(2_000);
  const other = await run([whole(longer)], { bytes, digest });
  assert.ok(other.outcome instanceof ProtocolError);
  assert.equal(other.outcome.code, "get.range");
  assert.equal(other.part.bytes, 0);
  const part = new MemoryPart(FILE.slice(0, 500), {
    ...FACTS,
    bytes: undefined,
  });
  const rest: Answer = () =>
    new Response(new Uint8Array(1_500), {
      status: 206,
      headers: { etag: ETAG, "content-range": "bytes 500-1999/2000" },
    });
  const resumed = await run([rest, whole()], { part, bytes, digest });
  assert.equal(resumed.outcome, "verified");
});

Deno.test("download() does not believe that all is there where that is less than was said", async () => {
  const facts = { etag: ETAG, bytes: FILE.length, digest: undefined };
  const part = new MemoryPart(FILE.slice(0, 500), facts);
  const lie = refusing(416, { "content-range": "bytes */500" });
  const { outcome } = await run([lie, whole()], { part });
  assert.equal(outcome, "verified");
  assert.deepEqual(part.content, FILE);
});
