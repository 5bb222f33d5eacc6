/**
 * What it costs to read messages and to believe records.
 *
 *     deno bench bench/auth_bench.ts
 *
 * Figures are kept in docs/performance.md.
 *
 * @module
 */
import { seededRandom } from "../lib/base/random.ts";
import { Identity } from "../lib/auth/identity.ts";
import { customNetwork, networkParameters } from "../lib/auth/network.ts";
import { createNodeRecord, decodeNodeRecord } from "../lib/auth/node_record.ts";
import { placeOf, WORK_NONCE_BYTES } from "../lib/auth/proof_of_work.ts";
import { RecordVerifier } from "../lib/auth/record_verifier.ts";
import { nativeSuite } from "../lib/crypto/native.ts";
import { nobleSuite } from "../lib/crypto/noble.ts";
import { decodeCbor, encodeCbor } from "../lib/wire/cbor.ts";
import {
  encodeFrame,
  FrameReader,
  MAX_FRAME_BYTES,
} from "../lib/wire/framing.ts";

const NOW_MS = Date.UTC(2026, 0, 1);
const RECORDS = 500;
const random = seededRandom(1);
const local = networkParameters("local");
const native = nativeSuite();

const encoded = Array.from({ length: RECORDS }, () => {
  using identity = Identity.generate(native, random);
  return createNodeRecord(native, identity, local, {
    onionKey: random.bytes(32),
    addresses: [{ host: "127.0.0.1", port: 4001 }],
    flags: ["relay"],
    bandwidth: 12_500_000,
    sequence: NOW_MS,
    expiry: NOW_MS + 3_600_000,
    workNonce: random.bytes(WORK_NONCE_BYTES),
  }).encoded;
});
const [oneRecord = new Uint8Array()] = encoded;
let turn = 0;
const nextRecord = () => encoded[turn++ % RECORDS] ?? oneRecord;

for (const suite of [nobleSuite(), native]) {
  Deno.bench(`record, decoded and signature verified, ${suite.name}`, {
    group: "record",
  }, () => {
    decodeNodeRecord(suite, local, nextRecord(), NOW_MS);
  });
}

const knowing = new RecordVerifier(native, local);
for (const record of encoded) await knowing.verify(record, NOW_MS);
Deno.bench("record, verified before", { group: "record" }, async () => {
  await knowing.verify(nextRecord(), NOW_MS);
});

const difficult = customNetwork({
  name: "bench",
  powDifficulty: 1,
  allowPrivateAddresses: true,
});
const publicKey = random.bytes(32);
for (const suite of [nobleSuite(), native]) {
  Deno.bench(`proof of work, checked, ${suite.name}`, {
    group: "work",
    n: 20,
  }, async () => {
    const nonce = random.bytes(WORK_NONCE_BYTES);
    await placeOf(suite, difficult.powDifficulty, publicKey, nonce);
  });
}

const nodes = { type: "nodes", records: encoded.slice(0, 20) };
const nodesEncoded = encodeCbor(nodes);
const recordFields = decodeCbor(oneRecord);
Deno.bench("CBOR, a record decoded", { group: "cbor" }, () => {
  decodeCbor(oneRecord);
});
Deno.bench("CBOR, a record encoded", { group: "cbor" }, () => {
  encodeCbor(recordFields);
});
Deno.bench("CBOR, 20 records decoded", { group: "cbor" }, () => {
  decodeCbor(nodesEncoded);
});
Deno.bench("CBOR, 20 records encoded", { group: "cbor" }, () => {
  encodeCbor(nodes);
});
const nested = new Uint8Array(65_536).fill(0x81);
Deno.bench("CBOR, 64 KiB of nested arrays refused", { group: "cbor" }, () => {
  try {
    decodeCbor(nested);
  } catch {
    // Refusing is what is measured.
  }
});

/** A MiB of frames, read in chunks as a transport gives them. */
function benchFraming(bodyBytes: number, chunkBytes: number): void {
  const frame = encodeFrame(random.bytes(bodyBytes), MAX_FRAME_BYTES);
  const count = Math.max(1, Math.round(2 ** 20 / frame.length));
  const stream = new Uint8Array(count * frame.length);
  for (let i = 0; i < count; i++) stream.set(frame, i * frame.length);
  const reader = new FrameReader(MAX_FRAME_BYTES);
  Deno.bench(
    `framing, 1 MiB in frames of ${bodyBytes} bytes, chunks of ${chunkBytes}`,
    {
      group: "framing",
    },
    () => {
      for (let at = 0; at < stream.length; at += chunkBytes) {
        reader.push(stream.subarray(at, at + chunkBytes));
        while (reader.next() !== undefined);
      }
    },
  );
}
benchFraming(300, 65_536);
benchFraming(65_536, 65_536);
benchFraming(65_536, 1_200);
benchFraming(2 ** 20, 65_536);
Deno.bench("framing, 1 MiB copied once, for comparison", {
  group: "framing",
}, () => {
  new Uint8Array(2 ** 20).set(nested, 0);
});
