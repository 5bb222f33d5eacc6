import assert from "node:assert/strict";
import { nativeSuite } from "../../../lib/crypto/native.ts";
import { rememberingSuite } from "../../../lib/sim/world/remembering_suite.ts";
import { testBytes } from "../../support/nodes.ts";

const SEED = testBytes("a seed", 32);
const MESSAGE = testBytes("a message", 100);

Deno.test("rememberingSuite() signs as others do, and takes what others signed", () => {
  const ours = rememberingSuite();
  const theirs = nativeSuite();
  const mine = ours.signer(SEED);
  const other = theirs.signer(SEED);
  assert.deepEqual(mine.publicKey, other.publicKey);
  const signature = mine.sign(MESSAGE);
  assert.deepEqual(signature, other.sign(MESSAGE));
  assert.equal(theirs.verify(mine.publicKey, MESSAGE, signature), true);
  const fresh = rememberingSuite();
  assert.equal(fresh.verify(other.publicKey, MESSAGE, signature), true);
  assert.equal(fresh.verify(other.publicKey, MESSAGE, signature), true);
});

Deno.test("rememberingSuite() refuses a signature that it remembers for another message or key", () => {
  const suite = rememberingSuite();
  const signer = suite.signer(SEED);
  const signature = signer.sign(MESSAGE);
  const stranger = suite.signer(testBytes("another", 32)).publicKey;
  const altered = MESSAGE.with(99, 1);
  const longer = new Uint8Array([...MESSAGE, 0]);
  for (let round = 0; round < 2; round++) {
    assert.equal(suite.verify(stranger, MESSAGE, signature), false);
    assert.equal(suite.verify(signer.publicKey, altered, signature), false);
    assert.equal(suite.verify(signer.publicKey, longer, signature), false);
    assert.equal(
      suite.verify(signer.publicKey, MESSAGE, signature.with(3, 7)),
      false,
    );
    assert.equal(suite.verify(signer.publicKey, MESSAGE, signature), true);
  }
});
