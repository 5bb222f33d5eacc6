import assert from "node:assert/strict";
import fc from "fast-check";
import { concat, utf8 } from "../../../lib/base/bytes.ts";
import { AnonNetError } from "../../../lib/base/errors.ts";
import { VirtualClock } from "../../../lib/base/virtual_clock.ts";
import {
  LEAST_BYTES,
  readForm,
  SLOW_MS,
} from "../../../lib/share/box/upload_form.ts";
import { createDrain } from "../../../lib/sim/world/drain.ts";
import { sleep } from "../../../lib/base/clock.ts";
import { runOn } from "../../transport/world.ts";
import { BOUNDARY, END, filePart, formRequest, inPieces } from "./form_body.ts";

const UNENDED = new AbortController().signal;

/** What a form holds, file by file. */
async function filesOf(
  request: Request,
  maxFiles = 10,
  clock = new VirtualClock({ drain: createDrain() }),
): Promise<[string, string][]> {
  const files: [string, string][] = [];
  await readForm(request, {
    clock,
    maxFiles,
    signal: UNENDED,
    async onFile({ name, bytes }) {
      const parts = await Array.fromAsync(bytes);
      files.push([name, new TextDecoder().decode(concat(...parts))]);
    },
  });
  return files;
}

/** The code of the error that a form ends with. */
async function codeOf(request: Request, maxFiles?: number): Promise<string> {
  try {
    await filesOf(request, maxFiles);
  } catch (error) {
    assert.ok(error instanceof AnonNetError, String(error));
    return error.code;
  }
  return "taken";
}

const FORM = concat(
  filePart("a.txt", "one"),
  utf8(
    `--${BOUNDARY}\r\nContent-Disposition: form-data; name="word"\r\n\r\nhello\r\n`,
  ),
  filePart("ä \u65e5.txt", "--" + BOUNDARY.slice(0, 5) + "\r\n"),
  filePart("", ""),
  END,
);
const FILES = [["a.txt", "one"], ["ä \u65e5.txt", "------b\r\n"]];

Deno.test("readForm() gives the files of a form, wherever its bytes are split", async () => {
  for (const size of [1, 2, 7, 50, 10_000]) {
    const request = formRequest(inPieces(FORM, size));
    const files = await filesOf(request);
    assert.equal(files.length, 2, `${size}`);
    assert.deepEqual(files.map(([name]) => name), FILES.map(([name]) => name));
    assert.equal(files[0]?.[1], "one");
  }
});

Deno.test("readForm() agrees with the platform's own writer of forms", async () => {
  const data = new FormData();
  data.append("file", new File(["x".repeat(100_000)], "big.bin"));
  data.append("note", "words");
  data.append("file", new File([], "empty"));
  const request = new Request("http://x.anon/", { method: "POST", body: data });
  const files = await filesOf(request);
  assert.deepEqual(files.map(([name, text]) => [name, text.length]), [
    ["big.bin", 100_000],
    ["empty", 0],
  ]);
});

Deno.test("readForm() never holds more of a file than its reader has room for", async () => {
  const piece = new Uint8Array(64 * 1024).fill(120);
  let given = 0;
  let taken = 0;
  let most = 0;
  const pieces = 200;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (given === 0) controller.enqueue(filePart("big", "").slice(0, -2));
      if (given++ < pieces) return controller.enqueue(piece);
      controller.enqueue(concat(utf8("\r\n"), END));
      controller.close();
    },
  }, { highWaterMark: 0 });
  await readForm(formRequest(body), {
    clock: new VirtualClock({ drain: createDrain() }),
    maxFiles: 1,
    signal: UNENDED,
    async onFile({ bytes }) {
      for await (const part of bytes) {
        taken += part.length;
        most = Math.max(most, given * piece.length - taken);
      }
    },
  });
  assert.equal(taken, pieces * piece.length);
  assert.ok(most < 1024 * 1024, `${most} bytes`);
});

Deno.test("readForm() refuses what is no form, and forms that are broken or cut", async () => {
  for (
    const type of [
      "text/plain",
      "application/x-www-form-urlencoded",
      "multipart/form-data",
      "multipart/mixed; boundary=x",
      `multipart/form-data; boundary=${"x".repeat(1_000)}`,
    ]
  ) {
    assert.equal(
      await codeOf(formRequest(FORM, { type })),
      "receive.form",
      type.slice(0, 50),
    );
  }
  const cuts = [30, 200, FORM.length - END.length - 10];
  for (const length of cuts) {
    const body = FORM.slice(0, length);
    assert.equal(await codeOf(formRequest(body)), "receive.form", `${length}`);
  }
});

Deno.test("readForm() stops forms with too many files, fields or lines of a head", async () => {
  const many = (count: number, part: Uint8Array) =>
    concat(...Array.from({ length: count }, () => part), END);
  const files = many(11, filePart("a", "b"));
  assert.equal(await codeOf(formRequest(files), 10), "receive.too_many");
  const field = utf8(
    `--${BOUNDARY}\r\nContent-Disposition: form-data; name="x"\r\n\r\ny\r\n`,
  );
  assert.equal(
    await codeOf(formRequest(many(10_000, field))),
    "receive.too_many",
  );
  const head = utf8(
    `--${BOUNDARY}\r\n${"X-A: b\r\n".repeat(100_000)}\r\n\r\n`,
  );
  assert.notEqual(await codeOf(formRequest(concat(head, END))), "bug");
  const endless = utf8(`--${BOUNDARY}\r\nX-A: ${"b".repeat(5_000_000)}`);
  assert.equal(await codeOf(formRequest(endless)), "receive.form");
});

Deno.test("readForm() passes on why a file was not taken, and takes no more", async () => {
  let seen = 0;
  const error = new Error("no room");
  const body = concat(
    filePart("a", "x".repeat(500_000)),
    filePart("b", "y"),
    END,
  );
  await assert.rejects(
    readForm(formRequest(inPieces(body, 10_000)), {
      clock: new VirtualClock({ drain: createDrain() }),
      maxFiles: 5,
      signal: UNENDED,
      onFile() {
        seen++;
        return Promise.reject(error);
      },
    }),
    error,
  );
  assert.equal(seen, 1);
});

Deno.test("readForm() tells who takes a file that the form broke off", async () => {
  const taking = Promise.withResolvers<unknown>();
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      controller.enqueue(filePart("a", "x".repeat(1_000)).slice(0, -2));
    },
    pull: (controller) => controller.error(new Error("gone")),
  });
  await assert.rejects(
    readForm(formRequest(stream), {
      clock: new VirtualClock({ drain: createDrain() }),
      maxFiles: 5,
      signal: UNENDED,
      async onFile({ bytes }) {
        try {
          for await (const _part of bytes);
          taking.resolve("whole");
        } catch (error) {
          taking.resolve(error);
          throw error;
        }
      },
    }),
  );
  assert.ok(await taking.promise instanceof Error);
});

/** The parser's streams go on in turns of the event loop: time waits for each. */
function patientClock(): VirtualClock {
  let looks = 0;
  return new VirtualClock({
    drain: createDrain({ busy: () => ++looks % 3 !== 0 }),
  });
}

/** A form of which so many bytes come every so often. */
function slowForm(clock: VirtualClock, bytes: number, everyMs: number) {
  return new ReadableStream<Uint8Array>({
    start: (controller) =>
      controller.enqueue(filePart("slow", "").slice(0, -2)),
    async pull(controller) {
      await sleep(clock, everyMs);
      controller.enqueue(new Uint8Array(bytes).fill(120));
    },
  });
}

Deno.test("readForm() gives up forms that are silent, or drip", async () => {
  const drips = [[1, 1_000], [LEAST_BYTES / 3, SLOW_MS / 2], [1, SLOW_MS * 2]];
  for (const [bytes = 0, everyMs = 0] of drips) {
    const clock = patientClock();
    await runOn(
      clock,
      (async () => {
        const request = formRequest(slowForm(clock, bytes, everyMs));
        await assert.rejects(filesOf(request, 1, clock), {
          code: "receive.slow",
        });
        assert.ok(clock.nowMs() <= SLOW_MS + 2 * everyMs, `${clock.nowMs()}`);
      })(),
    );
  }
});

Deno.test("readForm() ends with files or an error of its own, whatever comes", async () => {
  const piece = fc.oneof(
    fc.constantFrom(
      FORM,
      END,
      filePart("x", "y"),
      utf8(`--${BOUNDARY}`),
      utf8("\r\n\r\n"),
      utf8("\r\n"),
      utf8('Content-Disposition: form-data; name="a"; filename="b'),
    ),
    fc.uint8Array({ maxLength: 30 }),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(piece, { maxLength: 8 }),
      fc.integer({ min: 1, max: 100 }),
      async (pieces, size) => {
        const body = inPieces(concat(...pieces), size);
        const code = await codeOf(formRequest(body));
        assert.match(code, /^taken$|^receive\./);
      },
    ),
    { numRuns: 200 },
  );
});
