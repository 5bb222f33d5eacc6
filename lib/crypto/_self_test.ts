/**
 * Known answers of every primitive, to be asked of a suite before it is trusted.
 * The answers are noble's, recorded; the tests hold noble to them as well.
 *
 * A platform may be older or newer than the one we tested, and would not tell:
 * an exchange that computes something else fails far away from its cause.
 *
 * @module
 */
import { ml_kem768 } from "@noble/post-quantum/ml-kem.js";
import { type Bytes, equalBytes } from "../base/bytes.ts";
import { BugError } from "../base/errors.ts";
import {
  type CryptoSuite,
  KEM_CIPHERTEXT_BYTES,
  KEM_SEED_BYTES,
} from "./suite.ts";

/** Parts of a suite that stand or fall together. */
export const PRIMITIVES = {
  hash: ["sha256", "hmac", "hkdf", "hkdfExpand"],
  scrypt: ["scrypt"],
  aead: ["counterAead", "seal", "open"],
  keystream: ["keystream"],
  x25519: ["x25519Public", "x25519"],
  ed25519: ["signer", "verify"],
  kem: ["kemPair", "encapsulate"],
} as const satisfies Record<string, readonly (keyof CryptoSuite)[]>;

/** The name of a part of a suite. */
export type Primitive = keyof typeof PRIMITIVES;

/** Bytes of a cell's plaintext, and of one that ends within a block. */
const MESSAGE = pattern(4080, 1);
const SHORT = pattern(133, 2);
const KEY = pattern(32, 3);
const OTHER_KEY = pattern(32, 4);
const NONCE = pattern(12, 5);

const TESTS: Readonly<
  Record<Primitive, (suite: CryptoSuite) => void | Promise<void>>
> = {
  hash: (suite) => {
    expect(
      suite.sha256(SHORT, MESSAGE),
      "9f9432ea1ebf84c0a569730d6842437c67b5a85fa953cda67a1c928ba43959c7",
    );
    expect(
      suite.hmac(KEY, SHORT, MESSAGE),
      "edcfc6c066138f6beba40a6656af39f362aa20dfe65c0d183ba3059564b94dad",
    );
    expect(
      suite.hkdf(KEY, NONCE, SHORT, 42),
      "7bf64edfb6186616e21cadd1877587e95c30a61146e19ed4a4c991a1c84429dd5c1ef8b049d1e31c94ed",
    );
    expect(
      suite.hkdfExpand(KEY, SHORT, 42),
      "f3bf33b2d099f497ab0f57f50f8e96a41c0bd0e2be9f793fdd045873d75fa3147374af95923a69713daf",
    );
  },
  scrypt: async (suite) => {
    const options = { N: 4, r: 2, p: 2, length: 32 };
    expect(
      await suite.scrypt(SHORT, NONCE, options),
      "942a7514f49692860944c8fb53d040d6bdb65625416d49378a98bd16549e3e2d",
    );
  },
  aead: (suite) => {
    const sealed = suite.seal(KEY, NONCE, SHORT, MESSAGE);
    expect(
      suite.sha256(sealed),
      "1a3970c9704a8207a4ac730eac68e2f01739c743ee0da531fe8316799fa3f12d",
    );
    same(suite.open(KEY, NONCE, sealed, MESSAGE), SHORT);
    same(suite.open(KEY, NONCE, sealed, SHORT), undefined);

    const sender = suite.counterAead(KEY);
    const receiver = suite.counterAead(KEY);
    const cell = new Uint8Array(MESSAGE.length + 16);
    for (
      const answer of [
        "37466212ce5e4890e73068ef63bac8b0850fad38ea4eca85f58b565216bf0eea",
        "306a6a2438fc42e044c0b6551411fdb83bd7870744d3601370d85ea1560b52bf",
      ]
    ) {
      sender.seal(MESSAGE, cell);
      expect(suite.sha256(cell), answer);
      cell[0] = (cell[0] as number) ^ 1;
      const out = new Uint8Array(MESSAGE.length);
      if (receiver.open(cell, out)) throw new Error("took an altered cell");
      same(out, new Uint8Array(MESSAGE.length));
      cell[0] = (cell[0] as number) ^ 1;
      if (!receiver.open(cell, out)) throw new Error("refused a true cell");
      same(out, MESSAGE);
    }
    const ahead = pattern(40, 6);
    sender.xorNext(4000, ahead);
    expect(
      ahead,
      "9556a1cdef35109f22fbc79b7272acee588d39554f85ace69a4edfdc71b6a711bb4ad699cbd99485",
    );
  },
  keystream: (suite) => {
    const stream = suite.keystream(KEY);
    const bytes = pattern(600, 7);
    stream.xor(bytes.subarray(0, 16));
    stream.xor(bytes.subarray(16));
    expect(
      suite.sha256(bytes),
      "ecb3eef19f791185ae6217ecf9a5d6b3684ad33fa65697e564b7c1f0b5aa5044",
    );
  },
  x25519: (suite) => {
    const publicKey = suite.x25519Public(OTHER_KEY);
    expect(
      publicKey,
      "ac26ef342b67eea78978e5c2b7348f2f4e7b69faccd15c5e1fbf656d84e6c962",
    );
    expect(
      suite.x25519(KEY, publicKey),
      "1c590421950a5ecb8ffaaf16ffe4f6f35ef6775b6e49c431f51a8e8dd3400a02",
    );
    same(suite.x25519(KEY, new Uint8Array(32)), undefined);
  },
  ed25519: (suite) => {
    const signer = suite.signer(KEY);
    expect(
      signer.publicKey,
      "53c216b3d017f7e013fb55191cefcb7b55f9dcbcf9eea94ce8505cc39f11fee8",
    );
    const signature = signer.sign(SHORT);
    expect(
      suite.sha256(signature),
      "17e4dc70387d469575ea17cad4328079bbfab4ca5937b2a7be051d8241a70e64",
    );
    if (!suite.verify(signer.publicKey, SHORT, signature)) {
      throw new Error("refused a true signature");
    }
    signature[40] = (signature[40] as number) ^ 1;
    if (suite.verify(signer.publicKey, SHORT, signature)) {
      throw new Error("took an altered signature");
    }
  },
  kem: async (suite) => {
    const seed = pattern(KEM_SEED_BYTES, 8);
    const pair = await suite.kemPair(seed);
    expect(
      suite.sha256(pair.publicKey),
      "1237ee05ebbaf44e2e3f91dfaf76ba8be2778d3357a4d806e83668405a51cf3e",
    );
    const { cipherText } = ml_kem768.encapsulate(pair.publicKey, KEY);
    expect(
      await pair.decapsulate(cipherText),
      "0ab96ddb1ee339db868b6b9bbbd6c7d0f25f6a4757f1e842e21a9db5ed2d147b",
    );
    const foreign = pattern(KEM_CIPHERTEXT_BYTES, 9);
    expect(
      await pair.decapsulate(foreign),
      "5c756edc75d370146640c94feb23c25d14a37b5bcad4f0f084b095216d3ee131",
    );
    const own = await suite.encapsulate(pair.publicKey, {
      bytes: (length) => pattern(length, 10),
    });
    same(await pair.decapsulate(own.ciphertext), own.secret);
    pair.wipe();
  },
};

/**
 * Ask `suite` for its known answers of one primitive.
 *
 * @throws {BugError} `crypto.self_test` where it gives others; the cause says which.
 */
export async function selfTest(
  suite: CryptoSuite,
  primitive: Primitive,
): Promise<void> {
  try {
    await TESTS[primitive](suite);
  } catch (cause) {
    throw new BugError(
      "crypto.self_test",
      `Cannot use ${primitive} of ${suite.name}: it fails its self-test`,
      { cause },
    );
  }
}

/** Bytes that look like nothing in particular. */
function pattern(length: number, seed: number): Bytes {
  const bytes = new Uint8Array(length);
  let state = seed;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    bytes[i] = state >>> 16;
  }
  return bytes;
}

function expect(found: Uint8Array | undefined, hex: string): void {
  same(found, Uint8Array.fromHex(hex));
}

function same(
  found: Uint8Array | undefined,
  wanted: Uint8Array | undefined,
): void {
  const equal = found === undefined || wanted === undefined
    ? found === wanted
    : equalBytes(found, wanted);
  if (!equal) throw new Error("gave another answer");
}
