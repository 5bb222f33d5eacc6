/**
 * The primitives of both suites, at the sizes that the protocol uses.
 *
 *     deno bench bench/crypto_bench.ts
 *
 * Figures are kept in docs/performance.md.
 *
 * @module
 */
import { seededRandom } from "../lib/base/random.ts";
import { BlindedSigner, blindPublicKey } from "../lib/crypto/blinding.ts";
import { nativeSuite } from "../lib/crypto/native.ts";
import { nobleSuite } from "../lib/crypto/noble.ts";
import type { CryptoSuite } from "../lib/crypto/suite.ts";

const random = seededRandom(1);
const KEY = random.bytes(32);
const OTHER_KEY = random.bytes(32);
const MESSAGE = random.bytes(128);
const CELL_BYTES = 4096;
const TAG_BYTES = 16;
const FILLER_BYTES = 16;

for (const suite of [nobleSuite(), nativeSuite()]) benchSuite(suite);

function benchSuite(suite: CryptoSuite): void {
  const { name } = suite;

  const sealer = suite.counterAead(KEY);
  const cell = random.bytes(CELL_BYTES);
  const inside = cell.subarray(0, CELL_BYTES - TAG_BYTES);
  Deno.bench(`${name} counterAead seal, one cell`, { group: "seal" }, () => {
    sealer.seal(inside, cell);
  });

  const sealed = new Uint8Array(CELL_BYTES);
  const opened = new Uint8Array(CELL_BYTES - TAG_BYTES);
  suite.counterAead(KEY).seal(inside, sealed);
  Deno.bench(`${name} counterAead open, one cell`, { group: "open" }, () => {
    // The counter stands at 0 for this box alone: a fresh object each time.
    suite.counterAead(KEY).open(sealed, opened);
  });

  const refuser = suite.counterAead(OTHER_KEY);
  Deno.bench(
    `${name} counterAead open, a false cell`,
    { group: "open false" },
    () => {
      refuser.open(sealed, opened);
    },
  );

  const tail = new Uint8Array(3 * TAG_BYTES);
  Deno.bench(`${name} counterAead xorNext`, { group: "xorNext" }, () => {
    sealer.xorNext(CELL_BYTES - TAG_BYTES - tail.length, tail);
  });

  const stream = suite.keystream(KEY);
  const filler = new Uint8Array(FILLER_BYTES);
  Deno.bench(`${name} keystream, 16 bytes`, { group: "keystream" }, () => {
    stream.xor(filler);
  });

  Deno.bench(`${name} sha256, 128 bytes`, { group: "sha256" }, () => {
    suite.sha256(MESSAGE);
  });
  Deno.bench(`${name} sha256, 4 KiB`, { group: "sha256 cell" }, () => {
    suite.sha256(cell);
  });
  Deno.bench(`${name} hmac, 128 bytes`, { group: "hmac" }, () => {
    suite.hmac(KEY, MESSAGE);
  });
  Deno.bench(`${name} hkdf, 160 bytes`, { group: "hkdf" }, () => {
    suite.hkdf(KEY, OTHER_KEY, MESSAGE, 160);
  });

  const publicKey = suite.x25519Public(OTHER_KEY);
  Deno.bench(`${name} x25519Public`, { group: "x25519Public" }, () => {
    suite.x25519Public(KEY);
  });
  Deno.bench(`${name} x25519`, { group: "x25519" }, () => {
    suite.x25519(KEY, publicKey);
  });

  const signer = suite.signer(KEY);
  const signature = signer.sign(MESSAGE);
  Deno.bench(`${name} sign`, { group: "sign" }, () => {
    signer.sign(MESSAGE);
  });
  Deno.bench(`${name} verify`, { group: "verify" }, () => {
    suite.verify(signer.publicKey, MESSAGE, signature);
  });

  const seed = random.bytes(64);
  const pair = suite.kemPair(seed);
  const sent = pair.then((ready) => suite.encapsulate(ready.publicKey, random));
  Deno.bench(`${name} kemPair`, { group: "kemPair" }, async () => {
    await suite.kemPair(seed);
  });
  Deno.bench(`${name} encapsulate`, { group: "encapsulate" }, async () => {
    await suite.encapsulate((await pair).publicKey, random);
  });
  Deno.bench(`${name} decapsulate`, { group: "decapsulate" }, async () => {
    await (await pair).decapsulate((await sent).ciphertext);
  });

  const cost = { N: 4096, r: 8, p: 1, length: 32 };
  Deno.bench(`${name} scrypt, 4 MiB`, { group: "scrypt" }, async () => {
    await suite.scrypt(KEY, OTHER_KEY, cost);
  });
}

const { publicKey } = nativeSuite().signer(KEY);
Deno.bench("blindPublicKey", { group: "blinding" }, () => {
  blindPublicKey(publicKey, OTHER_KEY);
});
Deno.bench("new BlindedSigner", { group: "blinding" }, () => {
  new BlindedSigner(KEY, OTHER_KEY);
});
const blinded = new BlindedSigner(KEY, OTHER_KEY);
Deno.bench("BlindedSigner sign", { group: "blinding" }, () => {
  blinded.sign(MESSAGE);
});
