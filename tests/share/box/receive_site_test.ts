import assert from "node:assert/strict";
import { concat } from "../../../lib/base/bytes.ts";
import type { Clock } from "../../../lib/base/clock.ts";
import { seededRandom } from "../../../lib/base/random.ts";
import { VirtualClock } from "../../../lib/base/virtual_clock.ts";
import { DropBox, type DropLimits } from "../../../lib/share/box/drop_box.ts";
import { ReceiveSite } from "../../../lib/share/box/receive_site.ts";
import { MAX_UPLOADS, SAFE_MS } from "../../../lib/share/box/upload_places.ts";
import { createDrain } from "../../../lib/sim/world/drain.ts";
import type { Files } from "../../../lib/storage/files.ts";
import { MemoryFiles } from "../../../lib/storage/memory_files.ts";
import { HOST } from "../../proxy/world.ts";
import { FailingFiles } from "../../support/failing_files.ts";
import { PATH } from "../share_world.ts";
import { END, filePart, formRequest } from "./form_body.ts";

const DIR = "box";

async function siteOn(
  files: Files,
  limits: Partial<DropLimits> = {},
  clock: Clock = new VirtualClock({ drain: createDrain() }),
) {
  const told: string[] = [];
  const arrived = { bytes: 0 };
  const box = await DropBox.open({
    files,
    random: seededRandom(1),
    directory: DIR,
    limits: { fileBytes: 1_000, totalBytes: 5_000, files: 100, ...limits },
  });
  const site = new ReceiveSite({
    clock,
    title: "Send <b>",
    path: PATH,
    box,
    on: {
      onBytes: (count) => void (arrived.bytes += count),
      onFile: ({ name }) => void told.push(name),
      onEnd: (running) => void told.push(`running ${running}`),
      onTrouble: () => void told.push("trouble"),
    },
  });
  const completed = Promise.resolve();
  const ask = async (request: Request) =>
    await site.handle(request, { completed });
  return { ask, told, arrived };
}

function post(...parts: readonly Uint8Array[]): Request {
  return formRequest(concat(...parts, END), { path: PATH.prefix });
}

function ask(path: string, method = "GET"): Request {
  return new Request(`http://${HOST}${path}`, { method });
}

Deno.test("ReceiveSite shows a form without script to who has the secret, and to no other", async () => {
  const { ask: visit } = await siteOn(new MemoryFiles());
  const page = await visit(ask(PATH.prefix));
  assert.equal(page.status, 200);
  const text = await page.text();
  assert.match(text, /enctype="multipart\/form-data"/);
  assert.match(text, /<label for="files">/);
  assert.doesNotMatch(text, /<script|<b>/);
  assert.match(
    page.headers.get("content-security-policy") ?? "",
    /default-src 'none'.*form-action 'self'/,
  );
  for (const path of ["/", "/x/", `${PATH.prefix}x`]) {
    assert.equal((await visit(ask(path))).status, 404, path);
    const upload = formRequest(concat(filePart("a", "b"), END), { path });
    assert.equal((await visit(upload)).status, 404, path);
  }
  assert.equal((await visit(ask(PATH.prefix, "DELETE"))).status, 405);
});

Deno.test("ReceiveSite stores what is sent, and says under which names, with sums", async () => {
  const files = new MemoryFiles();
  const { ask: visit, told } = await siteOn(files);
  const answer = await visit(
    post(filePart("a.txt", "one"), filePart("../<i>", "two")),
  );
  assert.equal(answer.status, 201);
  const text = await answer.text();
  assert.match(text, /a\.txt/);
  assert.match(text, /_i_/);
  assert.match(
    text,
    /7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed/,
  );
  assert.deepEqual(told, ["a.txt", "_i_", "running 0"]);
  assert.equal((await files.read(`${DIR}/a.txt`))?.length, 3);
});

Deno.test("ReceiveSite says what is wrong with an upload, and gives its place back", async () => {
  const { ask: visit, told } = await siteOn(new MemoryFiles(), { files: 2 });
  const cases: readonly (readonly [Request, number])[] = [
    [ask(PATH.prefix, "POST"), 400],
    [post(filePart("", "")), 400],
    [post(filePart("a", "x".repeat(1_001))), 413],
    [post(...Array.from({ length: 3 }, () => filePart("a", ""))), 507],
    [post(filePart("late", "x")), 507],
  ];
  for (const [request, status] of cases) {
    assert.equal((await visit(request)).status, status);
  }
  assert.equal(told.at(-1), "running 0");
  const { ask: other } = await siteOn(new MemoryFiles(), { files: 1_000 });
  const many = Array.from({ length: 101 }, () => filePart("a", ""));
  assert.equal((await other(post(...many))).status, 413);
});

Deno.test("ReceiveSite tells a disk that is full from other trouble, and its owner too", async () => {
  const files = new FailingFiles(new MemoryFiles());
  const { ask: visit, told } = await siteOn(files);
  files.count = 0;
  files.failAt = 2;
  files.staysBroken = true;
  assert.equal((await visit(post(filePart("a", "b")))).status, 507);
  assert.deepEqual(told, ["trouble", "running 0"]);
});

Deno.test("ReceiveSite takes so many uploads at once, and has a thousand others come back later", async () => {
  const { ask: visit, told } = await siteOn(new MemoryFiles(), {
    totalBytes: 1e6,
    files: 1e4,
  });
  const waiting: ReadableStreamDefaultController<Uint8Array>[] = [];
  const held = Array.from({ length: MAX_UPLOADS }, (_, n) =>
    visit(formRequest(
      new ReadableStream<Uint8Array>({
        start(controller) {
          waiting.push(controller);
          controller.enqueue(filePart(`f${n}`, "x").slice(0, -2));
        },
      }),
      { path: PATH.prefix },
    )));
  const others = await Promise.all(
    Array.from({ length: 1_000 }, () => visit(post(filePart("a", "b")))),
  );
  for (const { status, headers } of others) {
    assert.equal(status, 503);
    assert.ok(Number(headers.get("retry-after")) > 0);
  }
  for (const controller of waiting) {
    controller.enqueue(concat(new TextEncoder().encode("\r\n"), END));
    controller.close();
  }
  for (const { status } of await Promise.all(held)) assert.equal(status, 201);
  assert.equal(told.at(-1), "running 0");
  assert.equal((await visit(post(filePart("a", "b")))).status, 201);
});

Deno.test("ReceiveSite has uploads that drip make way for others, the slowest first", async () => {
  const still = new VirtualClock({ drain: createDrain() });
  let nowMs = 0;
  const clock: Clock = {
    nowMs: () => nowMs,
    unixMs: () => nowMs,
    schedule: (delayMs, onTime) => still.schedule(delayMs, onTime),
  };
  const files = new MemoryFiles();
  const { ask: visit, told, arrived } = await siteOn(files, {
    fileBytes: 1e6,
    totalBytes: 1e8,
    files: 1e4,
  }, clock);
  const waiting: ReadableStreamDefaultController<Uint8Array>[] = [];
  const held = Array.from({ length: MAX_UPLOADS }, (_, n) =>
    visit(formRequest(
      new ReadableStream<Uint8Array>({
        start(controller) {
          waiting.push(controller);
          const content = "x".repeat(n === 5 ? 1 : 1_000);
          controller.enqueue(filePart(`f${n}`, content).slice(0, -2));
        },
      }),
      { path: PATH.prefix },
    )));
  const late = () => visit(post(filePart("late", "b")));
  const turn = createDrain();
  while (arrived.bytes < 31 * 900) await turn("start");
  nowMs = SAFE_MS - 1;
  assert.equal((await late()).status, 503);
  nowMs = SAFE_MS;
  assert.equal((await late()).status, 201);
  assert.equal((await held[5])?.status, 408);
  assert.equal((await late()).status, 201, "its place is free again");
  for (const [n, controller] of waiting.entries()) {
    if (n === 5) continue;
    controller.enqueue(concat(new TextEncoder().encode("\r\n"), END));
    controller.close();
  }
  const ends = await Promise.all(held);
  assert.equal(ends.filter(({ status }) => status === 201).length, 31);
  assert.equal(told.at(-1), "running 0");
  const names = await files.list(DIR);
  assert.ok(names.every((name) => !name.endsWith(".part")), names.join());
});
