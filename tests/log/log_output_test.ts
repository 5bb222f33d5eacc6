import assert from "node:assert/strict";
import { ProtocolError } from "../../lib/base/errors.ts";
import { sensitive } from "../../lib/log/log.ts";
import { type LogOptions, openLog } from "../../lib/log/log_output.ts";

const KEY = "x7k3a2bq".repeat(7).slice(0, 52);

/** What is written of a log to its end. */
async function written(
  options: Partial<LogOptions>,
  use: (log: Awaited<ReturnType<typeof openLog>>["log"]) => void,
): Promise<string[]> {
  const decoder = new TextDecoder();
  let text = "";
  {
    await using output = await openLog({
      level: "info",
      format: "text",
      write: (line) => {
        text += decoder.decode(line);
        return Promise.resolve();
      },
      ...options,
    });
    use(output.log);
  }
  return text.split("\n").slice(0, -1);
}

Deno.test("openLog() writes text lines with time, level, part, message and fields", async () => {
  const lines = await written({}, (log) => {
    log.info("Ready");
    log.part("links").warning("Peer known", {
      peer: "x7k3a2bq",
      count: 3,
      note: "two words",
      nothing: undefined,
    });
  });
  const time = /^20[0-9-]{8}T[0-9:]{8}\.[0-9]{3}Z /;
  assert.match(lines[0] ?? "", time);
  assert.deepEqual(lines.map((line) => line.replace(time, "")), [
    "info    Ready",
    'warning links: Peer known peer=x7k3a2bq count=3 note="two words"',
  ]);
});

Deno.test("openLog() writes one JSON object on each line", async () => {
  const lines = await written({ format: "json" }, (log) => {
    log.part("links").part("dial").error("Broken\nline", {
      peer: "a",
      error: new ProtocolError("link.bad", "Cannot link", {
        cause: new Error("too late"),
      }),
    });
  });
  assert.equal(lines.length, 1);
  const { time, ...rest } = JSON.parse(lines[0] ?? "");
  assert.ok(!Number.isNaN(Date.parse(time)));
  assert.deepEqual(rest, {
    level: "error",
    part: "links.dial",
    message: "Broken\nline",
    peer: "a",
    error: "link.bad",
    reason: "Cannot link: too late",
  });
});

Deno.test("openLog() writes everything from its level up", async () => {
  for (
    const [level, count] of [
      ["debug", 4],
      ["info", 3],
      ["warning", 2],
      ["error", 1],
    ] as const
  ) {
    const lines = await written({ level }, (log) => {
      log.debug("a");
      log.info("b");
      log.warning("c");
      log.error("d");
    });
    assert.equal(lines.length, count, level);
  }
});

Deno.test("openLog() scrubs addresses above debug, wherever they stand", async () => {
  const secrets = [
    "192.0.2.7",
    "192.0.2.7:4001",
    "2001:db8::7",
    "[2001:db8::7]:4001",
    "::1",
    "::ffff:192.0.2.7",
    `anon://${KEY}@192.0.2.7:4001`,
    `${"abcdefg2".repeat(7)}.anon`,
    `www.${"abcdefg2".repeat(7)}.anon`,
  ];
  for (const secret of secrets) {
    for (const format of ["text", "json"] as const) {
      const lines = await written({ format }, (log) => {
        log.info(`Cannot reach ${secret}`);
        log.info("Cannot reach", { place: secret });
        log.warning("Cannot reach", { place: sensitive(secret) });
        log.error("Cannot reach", {
          error: new Error("outer", { cause: new Error(`to ${secret}, lost`) }),
        });
      });
      assert.equal(lines.length, 4);
      for (const line of lines) {
        assert.ok(!line.includes(secret), line);
        assert.ok(line.includes("[scrubbed]"), line);
      }
    }
  }
});

Deno.test("openLog() leaves times, versions, counts and short keys alone", async () => {
  const kept = [
    "10:02:45",
    "1:2",
    "v1.2.3",
    "0.1.0",
    "x7k3a2bq",
    "a:b",
    "12:3",
  ];
  const lines = await written({}, (log) => {
    for (const text of kept) log.info(`Seen ${text} today`, { text });
  });
  for (const [index, text] of kept.entries()) {
    assert.ok(lines[index]?.includes(`Seen ${text} today text=${text}`), text);
  }
});

Deno.test("openLog() shows addresses at debug, where they were asked for", async () => {
  const lines = await written({ level: "debug" }, (log) => {
    log.debug("Dialling", { place: sensitive("192.0.2.7:4001") });
    log.info("Dialling", { place: sensitive("192.0.2.7:4001") });
  });
  assert.match(lines[0] ?? "", /place=192\.0\.2\.7:4001$/);
  assert.match(lines[1] ?? "", /place="\[scrubbed\]"$/);
});

Deno.test("openLog() drops lines while no program reads them, and says how many", async () => {
  const reading = Promise.withResolvers<void>();
  const decoder = new TextDecoder();
  const lines: string[] = [];
  const output = await openLog({
    level: "info",
    format: "json",
    write: async (line) => {
      await reading.promise;
      lines.push(decoder.decode(line));
    },
  });
  for (let n = 0; n < 5000; n++) output.log.info("Line", { n });
  reading.resolve();
  await output[Symbol.asyncDispose]();
  assert.ok(lines.length > 900 && lines.length < 1100, `${lines.length} lines`);
  const counts = lines.map((line) => JSON.parse(line))
    .filter(({ count }) => count !== undefined)
    .map(({ count }) => count);
  const seen = lines.length - counts.length;
  assert.equal(counts.reduce((sum, count) => sum + count, 0) + seen, 5000);
});

Deno.test("Sensitive does not show itself by accident", () => {
  const value = sensitive("192.0.2.7");
  assert.equal(`${value}`, "[scrubbed]");
  assert.equal(JSON.stringify({ value }), '{"value":"[scrubbed]"}');
  assert.equal(Deno.inspect(value), "[scrubbed]");
  assert.equal(value.reveal(), "192.0.2.7");
});
