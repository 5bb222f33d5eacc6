import assert from "node:assert/strict";
import { seededRandom } from "../../lib/base/random.ts";
import { nobleSuite } from "../../lib/crypto/noble.ts";
import { repeatableSuite } from "../../lib/crypto/repeatable.ts";
import { selectSuite } from "../../lib/crypto/select.ts";

/** More links than any chain of promises in the suite has. */
const MICROTASKS = 32;

Deno.test("repeatableSuite() draws its randomness from the caller alone", async () => {
  const suite = repeatableSuite();
  const { publicKey } = await suite.kemPair(new Uint8Array(64));
  assert.deepEqual(
    await suite.encapsulate(publicKey, seededRandom(3)),
    await suite.encapsulate(publicKey, seededRandom(3)),
  );
  assert.deepEqual(
    await suite.encapsulate(publicKey, seededRandom(3)),
    await nobleSuite().encapsulate(publicKey, seededRandom(3)),
  );
});

Deno.test("repeatableSuite() keeps no promise beyond microtasks", async () => {
  const suite = repeatableSuite();
  let settled = false;
  const work = (async () => {
    const pair = await suite.kemPair(new Uint8Array(64));
    const sent = await suite.encapsulate(pair.publicKey, seededRandom(1));
    await pair.decapsulate(sent.ciphertext);
    await suite.scrypt(new Uint8Array(1), new Uint8Array(1), {
      N: 2,
      r: 1,
      p: 1,
      length: 16,
    });
    settled = true;
  })();
  for (let i = 0; i < MICROTASKS; i++) await Promise.resolve();
  assert.equal(settled, true);
  await work;
});

Deno.test("repeatableSuite() passes the self-test", async () => {
  const failed: string[] = [];
  await selectSuite({
    candidate: repeatableSuite(),
    onFallback: (primitive) => failed.push(primitive),
  });
  assert.deepEqual(failed, []);
});
