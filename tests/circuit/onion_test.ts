import assert from "node:assert/strict";
import { sha256 } from "@noble/hashes/sha2.js";
import fc from "fast-check";
import { concat, equalBytes, utf8 } from "../../lib/base/bytes.ts";
import { type Random, seededRandom } from "../../lib/base/random.ts";
import {
  CELL_BYTES,
  HEAD_OFFSET,
  isSized,
  MAX_HOPS,
  PAYLOAD_OFFSET,
  SIZE_BYTES,
  TRAIN_BYTES,
  unitBytes,
  writeSize,
} from "../../lib/circuit/cell.ts";
import { OnionClient } from "../../lib/circuit/onion_client.ts";
import { RelayLayer } from "../../lib/circuit/relay_layer.ts";
import { nativeSuite } from "../../lib/crypto/native.ts";
import { nobleSuite } from "../../lib/crypto/noble.ts";
import VECTORS from "../vectors/circuit_cells.json" with { type: "json" };
import {
  Chain,
  PAYLOAD_BYTES,
  randomKeys,
  TRAIN_PAYLOAD_BYTES,
} from "./_chain.ts";
import {
  referenceAnswer,
  referenceArrive,
  referenceBackward,
  referenceForward,
  ReferenceHop,
  referenceOpen,
  referenceSeal,
} from "./_reference.ts";

const SUITES = [nobleSuite(), nativeSuite()];
const native = nativeSuite();

/** Payloads that differ, filled to the brim. */
function payloads(count: number, seed = 7): Uint8Array[] {
  const random = seededRandom(seed);
  return Array.from({ length: count }, () => random.bytes(PAYLOAD_BYTES));
}

// ── Agreement ────────────────────────────────────────────────────────────────

/** SHA-256(label ‖ " " ‖ i), one after the other, cut: as the vectors say. */
function bytesFor(label: string, length: number): Uint8Array {
  const out = new Uint8Array(length);
  for (let i = 0; 32 * i < length; i++) {
    out.set(
      sha256(utf8(`${label} ${i}`)).subarray(0, length - 32 * i),
      32 * i,
    );
  }
  return out;
}

for (const suite of SUITES) {
  Deno.test(`RelayLayer gives the published cells, each way and at each length (${suite.name})`, () => {
    const keys = VECTORS.hops.map((hop) => ({
      forwardKey: Uint8Array.fromHex(hop["forwardKey"] ?? ""),
      backwardKey: Uint8Array.fromHex(hop["backwardKey"] ?? ""),
      fillerKey: Uint8Array.fromHex(hop["fillerKey"] ?? ""),
      binding: Uint8Array.fromHex(hop["binding"] ?? ""),
    }));
    const noise = bytesFor("noise", 4096);
    let noiseUsed = 0;
    const reference: ReferenceHop[] = [];
    const relays: RelayLayer[] = [];
    for (const { hops, cells, payload, forward, backward } of VECTORS.cells) {
      for (const hopKeys of keys.slice(relays.length, hops)) {
        reference.push(new ReferenceHop(hopKeys));
        relays.push(new RelayLayer(suite, hopKeys));
      }
      const text = bytesFor(payload, cells * CELL_BYTES - PAYLOAD_OFFSET);
      const cell = referenceSeal(reference, text, noise.subarray(noiseUsed));
      noiseUsed += 16 * (MAX_HOPS - hops);
      for (const [i, relay] of relays.entries()) {
        assert.equal(sha256(cell).toHex(), forward[i]);
        const last = i === relays.length - 1;
        assert(last ? relay.openForward(cell) : relay.peelForward(cell));
      }
      assert.deepEqual(cell.slice(PAYLOAD_OFFSET), text);
      for (const [i, relay] of relays.toReversed().entries()) {
        if (i === 0) relay.sealBackward(cell);
        else relay.wrapBackward(cell);
        assert.equal(sha256(cell).toHex(), backward[i]);
      }
      const opened = referenceOpen(reference, cell);
      assert.deepEqual(opened, text);
    }
  });

  Deno.test(`OnionClient and relays of a second implementation understand each other (${suite.name})`, () => {
    const random = seededRandom(11);
    const client = new OnionClient(suite, random);
    const relays: ReferenceHop[] = [];
    for (let hop = 0; hop < MAX_HOPS; hop++) {
      const keys = randomKeys(random);
      client.addHop(keys);
      relays.push(new ReferenceHop(keys));
      const train = random.bytes(TRAIN_PAYLOAD_BYTES);
      for (const payload of payloads(2, hop).toSpliced(1, 0, train)) {
        const sent = new Uint8Array(PAYLOAD_OFFSET + payload.length);
        sent.set(payload, PAYLOAD_OFFSET);
        client.seal(sent);
        let cell = sent;
        for (const relay of relays.slice(0, -1)) {
          cell = referenceForward(relay, cell);
        }
        const last = relays.at(-1) as ReferenceHop;
        assert.deepEqual(referenceArrive(last, cell), payload);
        cell = referenceAnswer(last, payload);
        for (const relay of relays.slice(0, -1).reverse()) {
          cell = referenceBackward(relay, cell);
        }
        assert.equal(client.open(cell), undefined);
        assert.deepEqual(cell.subarray(PAYLOAD_OFFSET), payload);
      }
    }
  });
}

// ── Round trips ──────────────────────────────────────────────────────────────

/** What happens to a circuit: a cell one way or the other, or another hop. */
const events = fc.array(
  fc.record({
    what: fc.constantFrom("forward", "backward", "grow"),
    train: fc.boolean(),
  }),
  { minLength: 1, maxLength: 40 },
);

for (const suite of SUITES) {
  Deno.test(`OnionClient and RelayLayer carry any payloads, in any order, while the circuit grows (${suite.name})`, () => {
    fc.assert(
      fc.property(
        events,
        fc.integer(),
        fc.uint8Array({ maxLength: 64 }),
        (order, seed, start) => {
          const chain = new Chain(suite, 1, seed);
          for (const [i, { what, train }] of order.entries()) {
            const payload = new Uint8Array(
              train ? TRAIN_PAYLOAD_BYTES : PAYLOAD_BYTES,
            );
            payload.set(start);
            payload[payload.length - 1] = i;
            if (what === "forward") {
              assert.deepEqual(chain.forward(payload), payload);
            } else if (what === "backward") {
              assert.deepEqual(chain.backward(payload), payload);
            } else if (chain.client.hops < MAX_HOPS) chain.grow();
          }
        },
      ),
      { numRuns: suite.name === "native" ? 60 : 20 },
    );
  });
}

Deno.test("RelayLayer takes many cells in one call as it takes them one by one", () => {
  const chunked = new Chain(native, 3, 5);
  const single = new Chain(native, 3, 5);
  const texts = payloads(5);
  const chunk = new Uint8Array(5 * CELL_BYTES);
  for (const [i, text] of texts.entries()) {
    chunk.set(chunked.seal(text), i * CELL_BYTES);
  }
  const [first, second] = chunked.relays;
  assert(first && second);
  assert(first.peelForward(chunk) && second.peelForward(chunk));
  for (const [i, text] of texts.entries()) {
    const cell = single.seal(text);
    assert(single.carryForward(cell, 0, 2));
    const start = i * CELL_BYTES;
    assert.deepEqual(chunk.subarray(start, start + CELL_BYTES), cell);
  }
  const back = new Uint8Array(5 * CELL_BYTES);
  for (const [i, text] of texts.entries()) {
    back.set(chunked.answer(text), i * CELL_BYTES);
  }
  second.wrapBackward(back);
  first.wrapBackward(back);
  for (const [i, text] of texts.entries()) {
    const cell = single.answer(text);
    single.carryBackward(cell, 2, 0);
    const start = i * CELL_BYTES;
    assert.deepEqual(back.subarray(start, start + CELL_BYTES), cell);
    assert.equal(
      chunked.client.open(back.subarray(start, start + CELL_BYTES)),
      undefined,
    );
  }
});

Deno.test("OnionClient and RelayLayer carry payloads over any number of hops", () => {
  for (let hops = 1; hops <= MAX_HOPS; hops++) {
    const chain = new Chain(native, hops, hops);
    const payload = seededRandom(hops).bytes(PAYLOAD_BYTES);
    for (let round = 0; round < 3; round++) {
      assert.deepEqual(chain.forward(payload), payload);
      assert.deepEqual(chain.backward(payload), payload);
    }
  }
});

// ── Tampering (promise P2) ───────────────────────────────────────────────────

const TAMPERINGS = [
  "flip",
  "resize",
  "drop",
  "duplicate",
  "swap",
  "replay",
  "inject",
] as const;
type Tampering = typeof TAMPERINGS[number];

/** Cells and trains as the next hop reads them; what has not ended is none. */
function reread(units: readonly Uint8Array[]): Uint8Array[] {
  const bytes = concat(...units);
  const read: Uint8Array[] = [];
  for (let start = 0; start < bytes.length;) {
    const end = start + unitBytes(bytes, start);
    if (end > bytes.length) break;
    read.push(bytes.slice(start, end));
    start = end;
  }
  return read;
}

/** The cells of a link after an adversary got at them; `at` is the first changed. */
function tamper(
  cells: readonly Uint8Array[],
  kind: Tampering,
  at: number,
  bit: number,
): Uint8Array[] {
  const changed = cells.map((cell) => new Uint8Array(cell));
  const [target, next] = changed.slice(at);
  assert(target && next);
  switch (kind) {
    case "flip": {
      const byte = (bit >> 3) % target.length;
      target[byte] = (target[byte] ?? 0) ^ (1 << (bit & 7));
      return changed;
    }
    case "resize":
      // Of a train four cells, and of a cell and what follows a train.
      target[0] = target[0] === 1 ? 4 : 1;
      return changed;
    case "drop":
      return changed.toSpliced(at, 1);
    case "duplicate":
      return changed.toSpliced(at, 0, new Uint8Array(target));
    case "swap":
      return changed.toSpliced(at, 2, next, target);
    case "replay":
      return changed.toSpliced(at + 1, 1, new Uint8Array(target));
    case "inject":
      return changed.toSpliced(at, 0, seededRandom(bit).bytes(CELL_BYTES));
  }
}

/** Cells that stand where they stood, as they were. */
function untouched(
  before: readonly Uint8Array[],
  after: readonly Uint8Array[],
): number {
  const first = before.findIndex((cell, i) =>
    !equalBytes(cell, after[i] ?? new Uint8Array())
  );
  return first < 0 ? before.length : first;
}

const CELLS = 7;

/** Payloads of cells and trains, in turn or as `bits` says. */
function mixedPayloads(bits: number): Uint8Array[] {
  const random = seededRandom(bits);
  return Array.from(
    { length: CELLS },
    (_, i) =>
      random.bytes((bits >> i) & 1 ? TRAIN_PAYLOAD_BYTES : PAYLOAD_BYTES),
  );
}

const attack = fc.record({
  hops: fc.integer({ min: 1, max: 5 }),
  link: fc.nat(),
  kind: fc.constantFrom<Tampering>(...TAMPERINGS),
  trains: fc.nat({ max: 2 ** CELLS - 1 }),
  at: fc.integer({ min: 0, max: CELLS - 2 }),
  bit: fc.oneof(fc.nat({ max: 7 }), fc.nat({ max: 8 * TRAIN_BYTES - 1 })),
  seed: fc.integer(),
});

Deno.test("RelayLayer lets nothing pass that was tampered with on the way forward", () => {
  fc.assert(
    fc.property(attack, ({ hops, link, kind, trains, at, bit, seed }) => {
      const chain = new Chain(native, hops, seed);
      // Between hops `victim` − 1 (0: the client) and `victim`.
      const victim = link % hops;
      const texts = mixedPayloads(trains);
      const sent = texts.map((text) => chain.seal(text));
      for (const cell of sent) assert(chain.carryForward(cell, 0, victim));
      const got = reread(tamper(sent, kind, at, bit));
      const good = untouched(sent, got);
      assert(good <= at + 1);

      for (const [i, cell] of got.entries()) {
        const before = new Uint8Array(cell);
        const passed = chain.carryForward(cell, victim, victim + 1);
        assert.equal(passed, i < good);
        if (!passed) {
          assert.deepEqual(cell, before); // nothing that depends on the key
          break;
        }
        assert(chain.carryForward(cell, victim + 1, hops));
        assert.deepEqual(cell.subarray(PAYLOAD_OFFSET), texts[i]);
      }
    }),
    { numRuns: 300 },
  );
});

Deno.test("OnionClient delivers nothing that was tampered with on the way back", () => {
  fc.assert(
    fc.property(attack, ({ hops, link, kind, trains, at, bit, seed }) => {
      const chain = new Chain(native, hops, seed);
      // Between hop `source` + 1 and whom it answers: hop `source`, or the client.
      const source = link % hops;
      const texts = mixedPayloads(trains);
      const sent = texts.map((text) => {
        const cell = chain.answer(text);
        chain.carryBackward(cell, hops - 1, source);
        return cell;
      });
      const got = reread(tamper(sent, kind, at, bit));
      // What the next hop drops anyway reaches no hop: see the test after this.
      const byte = (bit >> 3) % (sent[at]?.length ?? 0);
      const dropped = kind === "flip" && source > 0 && byte > 0 && byte <= 16;
      const good = dropped ? CELLS : untouched(sent, got);
      let delivered = 0;
      for (const cell of got) {
        if (!chain.carryBackward(cell, source, 0)) break;
        const failed = chain.client.open(cell);
        if (failed !== undefined) {
          // Noticed at the layer where it was done, or at one nearer to us.
          assert(failed >= 1 && failed <= source + 1);
          break;
        }
        assert.deepEqual(cell.subarray(PAYLOAD_OFFSET), texts[delivered]);
        delivered++;
      }
      assert.equal(delivered, good);
    }),
    { numRuns: 300 },
  );
});

Deno.test("RelayLayer drops what a later hop put where 16 bytes are dropped: a change there reaches no hop", () => {
  const clean = new Chain(native, 3, 1);
  const marked = new Chain(native, 3, 1);
  const [payload] = payloads(1);
  assert(payload);
  const a = clean.answer(payload);
  const b = marked.answer(payload);
  b.fill(0xff, SIZE_BYTES, HEAD_OFFSET); // by the last hop, or on its link
  clean.carryBackward(a, 2, 0);
  marked.carryBackward(b, 2, 0);
  assert.deepEqual(a, b);
});

Deno.test("OnionClient tells which hop's layer was broken by a changed payload", () => {
  for (let hops = 1; hops <= MAX_HOPS; hops++) {
    for (let source = 0; source < hops; source++) {
      const chain = new Chain(native, hops, hops);
      const cell = chain.answer(new Uint8Array(PAYLOAD_BYTES));
      chain.carryBackward(cell, hops - 1, source);
      cell[2000] = (cell[2000] ?? 0) ^ 1;
      chain.carryBackward(cell, source, 0);
      assert.equal(chain.client.open(cell), source + 1);
    }
  }
});

Deno.test("OnionClient refuses a head that is not zero, and blames the last hop", () => {
  for (const offset of [HEAD_OFFSET, PAYLOAD_OFFSET - 1]) {
    const random = seededRandom(3);
    const client = new OnionClient(native, random);
    const keys = randomKeys(random);
    client.addHop(keys);
    const plaintext = new Uint8Array(CELL_BYTES - HEAD_OFFSET);
    plaintext[offset - HEAD_OFFSET] = 1;
    const cell = new Uint8Array(CELL_BYTES);
    writeSize(cell);
    native.counterAead(keys.backwardKey)
      .seal(plaintext, cell.subarray(SIZE_BYTES));
    assert.equal(client.open(cell), 1);
  }
});

Deno.test("OnionClient is of no use after a cell that it could not open", () => {
  const chain = new Chain(native, 2, 1);
  const garbage = new Uint8Array(CELL_BYTES);
  writeSize(garbage);
  assert.equal(chain.client.open(garbage), 1);
  const cell = new Uint8Array(CELL_BYTES);
  assert.throws(() => chain.client.open(cell), { code: "circuit.no_layers" });
  assert.throws(() => chain.client.seal(cell), { code: "circuit.no_layers" });
});

Deno.test("OnionClient refuses cells without a hop, a ninth hop, and other sizes", () => {
  const random = seededRandom(1);
  const client = new OnionClient(native, random);
  const cell = new Uint8Array(CELL_BYTES);
  assert.throws(() => client.seal(cell), { code: "circuit.no_layers" });
  for (let i = 0; i < MAX_HOPS; i++) client.addHop(randomKeys(random));
  assert.throws(() => client.addHop(randomKeys(random)), RangeError);
  assert.throws(() => client.seal(cell.subarray(1)), RangeError);
  assert.throws(() => client.open(cell.subarray(1)), RangeError);
});

Deno.test("RelayLayer garbles the payload of a client that builds a ninth hop", () => {
  const random = seededRandom(4);
  const keys = Array.from({ length: 9 }, () => randomKeys(random));
  const hops = keys.map((key) => new ReferenceHop(key));
  const relays = keys.map((key) => new RelayLayer(native, key));
  // A client that ignores the limit: its ninth head reaches into the payload.
  const cell = referenceSeal(
    hops,
    new Uint8Array(PAYLOAD_BYTES - 16),
    random.bytes(0),
  );
  for (const relay of relays.slice(0, -1)) assert(relay.peelForward(cell));
  assert(relays.at(-1)?.openForward(cell));
  const start = cell.subarray(PAYLOAD_OFFSET, PAYLOAD_OFFSET + 16);
  assert.notDeepEqual(start, new Uint8Array(16));
});

Deno.test("OnionClient and RelayLayer forget their keys when wiped", () => {
  const chain = new Chain(native, 2, 1);
  chain.client.wipe();
  const cell = new Uint8Array(CELL_BYTES);
  assert.throws(() => chain.client.seal(cell), { code: "crypto.wiped" });
  writeSize(cell);
  chain.last.wipe();
  assert.throws(() => chain.last.openForward(cell), { code: "crypto.wiped" });
  assert.throws(() => chain.last.sealBackward(cell), { code: "crypto.wiped" });
});

// ── Position (promise P3) ────────────────────────────────────────────────────

/** Pearson's statistic of byte values against evenness, as standard deviations. */
function unevenness(bytes: Uint8Array): number {
  const counts = new Float64Array(256);
  for (const byte of bytes) counts[byte] = (counts[byte] ?? 0) + 1;
  const expected = bytes.length / 256;
  const statistic = counts.reduce(
    (sum, count) => sum + (count - expected) ** 2 / expected,
    0,
  );
  return (statistic - 255) / Math.sqrt(2 * 255);
}

/** Places of 16 bytes that can tell a position, with the payload's first. */
const SLOTS = (PAYLOAD_OFFSET - SIZE_BYTES) / 16 + 1;

/**
 * Everything that the hops of a circuit see of many cells and trains, slot by slot;
 * their sizes are those that they were sent with.
 */
function views(hops: number, cells: number): Map<string, Uint8Array[]> {
  const chain = new Chain(native, hops, hops);
  const seen = new Map<string, Uint8Array[]>();
  const note = (name: string, cell: Uint8Array, firstSlot: number) => {
    assert(isSized(cell));
    for (let slot = firstSlot; slot < SLOTS; slot++) {
      const key = `${name} slot ${slot}`;
      const list = seen.get(key) ?? [];
      const start = SIZE_BYTES + 16 * slot;
      list.push(cell.slice(start, start + 16));
      seen.set(key, list);
    }
  };
  for (let i = 0; i < cells; i++) {
    // The most telling payload that there is.
    const payload = new Uint8Array(
      i % 3 === 1 ? TRAIN_PAYLOAD_BYTES : PAYLOAD_BYTES,
    );
    const cell = chain.seal(payload);
    for (let hop = 0; hop < hops; hop++) {
      note(`forward to hop ${hop + 1}`, cell, 0);
      assert(chain.carryForward(cell, hop, hop + 1));
    }
    // The last hop sees its head in the clear, and nothing of the payload's.
    const head = new Uint8Array(cell);
    head.set(seededRandom(i).bytes(16), PAYLOAD_OFFSET);
    note("head at last hop", head, 1);
    const back = chain.answer(payload);
    for (let hop = hops - 1; hop > 0; hop--) {
      note(`backward to hop ${hop}`, back, 0);
      chain.carryBackward(back, hop, hop - 1);
    }
    note("backward to client", back, 0);
  }
  return seen;
}

Deno.test("OnionClient and RelayLayer show no hop anything but even bytes, wherever it stands", () => {
  let worst = 0;
  for (let hops = 1; hops <= MAX_HOPS; hops++) {
    for (const slices of views(hops, 120).values()) {
      const bytes = new Uint8Array(slices.flatMap((slice) => [...slice]));
      worst = Math.max(worst, unevenness(bytes));
    }
  }
  // About 1,100 samples of 1,920 bytes: beyond 6 once in a million runs, if even.
  assert(worst < 6, `${worst} standard deviations`);
});

Deno.test("unevenness() would see a head filled with zeros", () => {
  const random: Random = seededRandom(1);
  const bytes = random.bytes(1920);
  assert(unevenness(bytes) < 6);
  bytes.fill(0, 0, 160); // one cell in twelve
  assert(unevenness(bytes) > 6);
});

Deno.test("OnionClient leaves a guess at the position of a hop at chance", () => {
  // Nearest centroid over the bits of all slots, trained on other circuits.
  const hops = 4;
  const sample = (seed: number): number[][] => {
    const chain = new Chain(native, hops, seed);
    const cell = chain.seal(new Uint8Array(PAYLOAD_BYTES));
    return Array.from({ length: hops }, (_, hop) => {
      const features = [...cell.subarray(0, PAYLOAD_OFFSET)]
        .concat([...cell.subarray(-PAYLOAD_OFFSET)]);
      assert(chain.carryForward(cell, hop, hop + 1));
      return features;
    });
  };
  const training = Array.from({ length: 150 }, (_, i) => sample(i));
  const centroids = Array.from(
    { length: hops },
    (_, hop) =>
      Array.from(
        { length: 2 * PAYLOAD_OFFSET },
        (_, feature) =>
          training.reduce((sum, cell) => sum + (cell[hop]?.[feature] ?? 0), 0) /
          training.length,
      ),
  );
  let right = 0;
  let total = 0;
  for (let seed = 1000; seed < 1150; seed++) {
    for (const [hop, features] of sample(seed).entries()) {
      const distances = centroids.map((centroid) =>
        centroid.reduce(
          (sum, mean, i) => sum + (mean - (features[i] ?? 0)) ** 2,
          0,
        )
      );
      if (distances.indexOf(Math.min(...distances)) === hop) right++;
      total++;
    }
  }
  // 600 guesses at 1/4: 150 ± 10.6. Five standard deviations.
  assert(Math.abs(right - total / hops) < 53, `${right} of ${total} right`);
});
