import assert from "node:assert/strict";
import fc from "fast-check";
import { textBytes } from "../../lib/torcontrol/byte_text.ts";
import {
  CommandReader,
  MAX_BLOCK_BYTES,
  MAX_COMMAND_BYTES,
  type ReadCommand,
} from "../../lib/torcontrol/command_reader.ts";

/** All that a reader makes of some pieces. */
function readAll(...pieces: readonly string[]): ReadCommand[] {
  const reader = new CommandReader();
  const commands: ReadCommand[] = [];
  for (const piece of pieces) {
    reader.push(textBytes(piece));
    for (;;) {
      const command = reader.next();
      if (command === undefined) break;
      commands.push(command);
      if (typeof command === "string") return commands;
    }
  }
  return commands;
}

const plain = (keyword: string, rest = "") => ({
  keyword,
  rest,
  hasBlock: false,
});

Deno.test("CommandReader reads lines with and without CR, and keywords as they are written", () => {
  assert.deepEqual(readAll("getinfo  version \r\nQUIT\nx"), [
    plain("getinfo", "version"),
    plain("QUIT"),
  ]);
  assert.deepEqual(readAll("\r\n"), [plain("")]);
});

Deno.test("CommandReader reads blocks to their end, and lets them go", () => {
  const [command, next] = readAll(
    "+LOADCONF\r\nGETINFO version\r\n..\r\n.\r\nQUIT\r\n",
  );
  assert.deepEqual(command, { keyword: "LOADCONF", rest: "", hasBlock: true });
  assert.deepEqual(next, plain("QUIT"));
});

Deno.test("CommandReader gives the same however bytes are cut (property)", () => {
  const text = "PROTOCOLINFO 1\r\n+HSPOST\r\na\r\n.\r\nGETINFO a b\nQUIT\r\n";
  const whole = readAll(text);
  fc.assert(fc.property(fc.array(fc.nat(text.length)), (cuts) => {
    const places = [0, ...cuts.sort((a, b) => a - b), text.length];
    const pieces = places.slice(1).map((end, at) =>
      text.slice(places[at], end)
    );
    assert.deepEqual(readAll(...pieces), whole);
  }));
});

Deno.test("CommandReader ends at a line of HTTP, whatever follows", () => {
  for (
    const line of [
      "GET / HTTP/1.1",
      "POST /x HTTP/1.0",
      "get http://127.0.0.1:9051/ HTTP/1.1",
      "CONNECT 127.0.0.1:9051 HTTP/1.1",
      "GET /",
      "POST http://localhost/",
    ]
  ) {
    assert.deepEqual(readAll(`${line}\r\n\r\nAUTHENTICATE ""\r\n`), ["http"]);
  }
  assert.deepEqual(readAll("GETINFO version\r\n"), [
    plain("GETINFO", "version"),
  ]);
});

Deno.test("CommandReader holds no more than its limit of a line without an end", () => {
  const reader = new CommandReader();
  reader.push(new Uint8Array(MAX_COMMAND_BYTES).fill(0x61));
  assert.equal(reader.next(), undefined);
  reader.push(new Uint8Array(1).fill(0x61));
  assert.equal(reader.next(), "too_long");
  reader.push(textBytes("\r\nQUIT\r\n"));
  assert.equal(reader.next(), "too_long");
  assert.equal(reader.waitingBytes, 0);
});

Deno.test("CommandReader holds nothing of a block, and ends one without an end", () => {
  const reader = new CommandReader();
  reader.push(textBytes("+LOADCONF\r\n"));
  const line = textBytes(`${"a".repeat(999)}\n`);
  for (let bytes = 0; bytes <= MAX_BLOCK_BYTES; bytes += line.length) {
    assert.equal(reader.next(), undefined);
    assert.equal(reader.waitingBytes, 0);
    reader.push(line);
  }
  assert.equal(reader.next(), "too_long");
});

Deno.test("CommandReader looks at each byte of a block of empty lines once", () => {
  // Were what is left copied for each line, a stranger's megabyte would take a minute.
  const lines = "\n".repeat(MAX_BLOCK_BYTES - 1);
  const [block, next] = readAll(`+X\n${lines}.\nQUIT\n`);
  assert.deepEqual(block, { keyword: "X", rest: "", hasBlock: true });
  assert.deepEqual(next, plain("QUIT"));
});
