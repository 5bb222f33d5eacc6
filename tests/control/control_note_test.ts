import assert from "node:assert/strict";
import fc from "fast-check";
import { ConfigError } from "../../lib/base/errors.ts";
import { seededRandom } from "../../lib/base/random.ts";
import {
  type ControlNote,
  formatControlNote,
  newControlToken,
  parseControlNote,
} from "../../lib/control/control_note.ts";

const TOKEN = newControlToken(seededRandom(1n));
const UNIX: ControlNote = {
  place: { type: "unix", path: "my state/control.sock" },
  token: TOKEN,
};

Deno.test("parseControlNote() undoes formatControlNote()", () => {
  for (
    const place of [
      UNIX.place,
      { type: "unix", path: "a:b" },
      { type: "tcp", address: { host: "127.0.0.1", port: 4101 } },
      { type: "tcp", address: { host: "::1", port: 1 } },
    ] as const
  ) {
    const note = { place, token: TOKEN };
    assert.deepEqual(parseControlNote(formatControlNote(note)), note);
  }
});

Deno.test("newControlToken() gives 52 characters, other ones each time", () => {
  const random = seededRandom(2n);
  const tokens = Array.from({ length: 100 }, () => newControlToken(random));
  assert.equal(new Set(tokens).size, 100);
  for (const token of tokens) assert.match(token, /^[a-z2-7]{52}$/);
});

Deno.test("parseControlNote() refuses a note that was cut anywhere", () => {
  const text = formatControlNote(UNIX);
  for (let length = 0; length < text.length; length++) {
    assert.throws(() => parseControlNote(text.slice(0, length)), ConfigError);
  }
});

Deno.test("parseControlNote() refuses other versions, places and tokens", () => {
  for (
    const text of [
      `anonnet-control v2\nunix:a\n${TOKEN}\n`,
      `anonnet-control v1\nunix:\n${TOKEN}\n`,
      `anonnet-control v1\nhttp:127.0.0.1:1\n${TOKEN}\n`,
      `anonnet-control v1\ntcp:localhost:1\n${TOKEN}\n`,
      `anonnet-control v1\ntcp:127.0.0.1\n${TOKEN}\n`,
      `anonnet-control v1\nunix:a\n${TOKEN.slice(1)}\n`,
      `anonnet-control v1\nunix:a\n${TOKEN.slice(1)}!\n`,
      `anonnet-control v1\nunix:a\n${TOKEN}\nmore\n`,
    ]
  ) assert.throws(() => parseControlNote(text), ConfigError, text);
  fc.assert(fc.property(fc.string(), (text) => {
    assert.throws(() => parseControlNote(text), ConfigError);
  }));
});
