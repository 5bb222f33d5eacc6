import assert from "node:assert/strict";
import { poly1305 } from "@noble/ciphers/_poly1305.js";
import { chacha20 } from "@noble/ciphers/chacha.js";
import fc from "fast-check";
import { assemble } from "../../lib/crypto/_assembler.ts";
import { CHACHA20_XOR } from "../../lib/crypto/_chacha20_kernel.ts";
import { POLY1305_MAC } from "../../lib/crypto/_poly1305_kernel.ts";
import { CellAead, MAX_MESSAGE_BYTES } from "../../lib/crypto/cell_aead.ts";
import { nativeSuite } from "../../lib/crypto/native.ts";
import { nobleSuite } from "../../lib/crypto/noble.ts";
import { TAG_BYTES } from "../../lib/crypto/suite.ts";

const noble = nobleSuite();
const platform = nativeSuite();
const cells = new CellAead();

const bytes = (length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length })
    .map((value) => new Uint8Array(value));
const key = bytes(32);
const nonce = bytes(12);
const message = fc.oneof(
  fc.nat(MAX_MESSAGE_BYTES),
  // Around the ends of blocks and batches.
  fc.tuple(fc.constantFrom(0, 16, 64, 192, 256, 448, 4032), fc.nat(2))
    .map(([length, more]) => length + more),
).chain((length) => bytes(length));

/** Kernels with a memory of their own. */
function kernels() {
  const code = assemble([CHACHA20_XOR, POLY1305_MAC], 1);
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(code));
  const { memory, xor, mac } = exports as unknown as {
    readonly memory: WebAssembly.Memory;
    xor(counter: number, at: number, batches: number): void;
    mac(key: number, at: number, blocks: number, tag: number): void;
  };
  return { memory: new Uint8Array(memory.buffer), xor, mac };
}

Deno.test("CellAead.seal() gives what noble and the platform give, whatever the length", () => {
  fc.assert(
    fc.property(key, nonce, message, (key, nonce, message) => {
      const out = new Uint8Array(message.length + TAG_BYTES);
      cells.seal(key, nonce, message, out);
      assert.deepEqual(out, noble.seal(key, nonce, message));
      assert.deepEqual(out, platform.seal(key, nonce, message));
    }),
    { numRuns: 300 },
  );
});

Deno.test("CellAead.open() undoes seal(), in place too", () => {
  fc.assert(
    fc.property(key, nonce, message, (key, nonce, message) => {
      const memory = new Uint8Array(message.length + TAG_BYTES);
      memory.set(message);
      const plaintext = memory.subarray(0, message.length);
      cells.seal(key, nonce, plaintext, memory);
      assert.ok(cells.open(key, nonce, memory, plaintext));
      assert.deepEqual(plaintext, message);
    }),
    { numRuns: 100 },
  );
});

Deno.test("CellAead.open() takes no altered bit, and gives out nothing then", () => {
  fc.assert(
    fc.property(key, nonce, message, fc.nat(), (key, nonce, message, at) => {
      const sealed = noble.seal(key, nonce, message);
      const place = at % sealed.length;
      sealed[place] = (sealed[place] as number) ^ (1 << at % 8);
      const out = new Uint8Array(message.length).fill(0x5a);
      assert.ok(!cells.open(key, nonce, sealed, out));
      assert.ok(out.every((byte) => byte === 0x5a));
    }),
    { numRuns: 200 },
  );
});

Deno.test("CellAead.open() takes no other key, nonce or length", () => {
  const [k, n] = [new Uint8Array(32).fill(1), new Uint8Array(12).fill(2)];
  const sealed = noble.seal(k, n, new Uint8Array(100));
  const out = new Uint8Array(100);
  assert.ok(cells.open(k, n, sealed, out));
  assert.ok(!cells.open(new Uint8Array(32), n, sealed, out));
  assert.ok(!cells.open(k, new Uint8Array(12), sealed, out));
  for (let length = TAG_BYTES; length < sealed.length; length++) {
    const cut = sealed.subarray(0, length);
    assert.ok(!cells.open(k, n, cut, out.subarray(0, length - TAG_BYTES)));
  }
});

Deno.test("CellAead.xor() gives any piece of a message's keystream", () => {
  fc.assert(
    fc.property(
      key,
      nonce,
      fc.nat(9000),
      fc.nat(1000),
      (key, nonce, offset, length) => {
        const stream = new Uint8Array(64 + offset + length);
        const whole = chacha20(key, nonce, stream).subarray(64 + offset);
        const piece = new Uint8Array(length);
        cells.xor(key, nonce, offset, piece);
        assert.deepEqual(piece, new Uint8Array(whole));
      },
    ),
    { numRuns: 100 },
  );
});

// RFC 8439 §A.3, those of whole blocks: each is near an edge of the field.
const FIELD_EDGES = [
  ["02" + "00".repeat(31), "ff".repeat(16), "03" + "00".repeat(15)],
  [
    "02" + "00".repeat(15) + "ff".repeat(16),
    "02" + "00".repeat(15),
    "03" + "00".repeat(15),
  ],
  [
    "01" + "00".repeat(31),
    "ff".repeat(16) + "f0" + "ff".repeat(15) + "11" + "00".repeat(15),
    "05" + "00".repeat(15),
  ],
  [
    "01" + "00".repeat(31),
    "ff".repeat(16) + "fb" + "fe".repeat(15) + "01".repeat(16),
    "00".repeat(16),
  ],
  [
    "02" + "00".repeat(31),
    "fd" + "ff".repeat(15),
    "fa" + "ff".repeat(15),
  ],
  [
    "01" + "00".repeat(7) + "04" + "00".repeat(23),
    "e33594d7505e43b900000000000000003394d7505e4379cd0100000000000000" +
    "000000000000000000000000000000000100000000000000" + "00".repeat(8),
    "14" + "00".repeat(7) + "55" + "00".repeat(7),
  ],
  [
    "01" + "00".repeat(7) + "04" + "00".repeat(23),
    "e33594d7505e43b900000000000000003394d7505e4379cd0100000000000000" +
    "00".repeat(16),
    "13" + "00".repeat(15),
  ],
] as const;

function tagOf(
  { memory, mac }: ReturnType<typeof kernels>,
  key: Uint8Array,
  blocks: Uint8Array,
): Uint8Array {
  memory.set(key, 0);
  memory.set(blocks, 1024);
  mac(0, 1024, blocks.length / 16, 512);
  return memory.slice(512, 528);
}

Deno.test("the Poly1305 kernel gives the tags of RFC 8439 §A.3", () => {
  const kernel = kernels();
  for (const [key, blocks, tag] of FIELD_EDGES) {
    const found = tagOf(
      kernel,
      Uint8Array.fromHex(key),
      Uint8Array.fromHex(blocks),
    );
    assert.equal(found.toHex(), tag);
  }
});

Deno.test("the Poly1305 kernel agrees with noble where carries are largest", () => {
  const kernel = kernels();
  const edge = fc.constantFrom(0x00, 0x01, 0x7f, 0x80, 0xfb, 0xfc, 0xff);
  const edges = (length: number) =>
    fc.array(edge, { minLength: length, maxLength: length })
      .map((values) => Uint8Array.from(values));
  fc.assert(
    fc.property(
      fc.oneof(edges(32), key),
      fc.integer({ min: 1, max: 40 }).chain((blocks) => edges(16 * blocks)),
      (key, blocks) => {
        const tag = poly1305(blocks, key);
        assert.equal(tagOf(kernel, key, blocks).toHex(), tag.toHex());
      },
    ),
    { numRuns: 1000 },
  );
});

Deno.test("the ChaCha20 kernel counts blocks as RFC 8439 §2.4 does", () => {
  const { memory, xor } = kernels();
  const state = new Uint8Array(64);
  state.set(new TextEncoder().encode("expand 32-byte k"));
  for (let i = 0; i < 32; i++) state[16 + i] = i;
  state[59] = 0x4a;
  memory.set(state);
  for (const counter of [0, 1, 1000, 2 ** 31, 2 ** 32 - 8]) {
    memory.fill(0, 1024, 1024 + 512);
    const batches = counter === 2 ** 32 - 8 ? 1 : 2;
    xor(counter, 1024, batches);
    const length = 256 * batches;
    const wanted = chacha20(
      state.subarray(16, 48),
      state.subarray(52, 64),
      new Uint8Array(length),
      undefined,
      counter,
    );
    assert.equal(
      memory.subarray(1024, 1024 + length).toHex(),
      wanted.toHex(),
    );
  }
});
