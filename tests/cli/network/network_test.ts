import assert from "node:assert/strict";
import { Operator } from "./network_world.ts";

const POSIX_PRIVATE = 0o600;

Deno.test("anonnet network create makes a key that only its owner reads, once", async () => {
  const operator = new Operator();
  const words = ["network", "create", "garden", "--local", "--state=a"];
  const said = await operator.do(words);
  assert.match(said, /network +garden: home and company .* no proof of work/);
  assert.match(said, /key file +a\/network\.key \(secret/);
  assert.match(said, /anonnet relay --state a --listen IP:PORT/);
  const facts = await operator.files.facts("a/network.key");
  assert.equal(facts?.mode, POSIX_PRIVATE);
  const key = await operator.files.read("a/network.key");
  const again = await operator.run(words);
  assert.equal(again.code, 1);
  assert.match(
    again.told,
    /Cannot make a key for network "garden": it has one/,
  );
  assert.deepEqual(await operator.files.read("a/network.key"), key);
});

Deno.test("anonnet network create takes the parameters of main, unless it is told others", async () => {
  const operator = new Operator();
  const main = await operator.do(["network", "create", "a", "--state=a"]);
  assert.match(main, /that the Internet routes, .* of difficulty 12/);
  const other = await operator.do(
    ["network", "create", "b", "--difficulty=4", "--local", "--state=b"],
  );
  assert.match(other, /addresses are allowed, .* of difficulty 4/);
});

Deno.test("anonnet network create says what is wrong with its words", async () => {
  const operator = new Operator();
  const cases: readonly (readonly [readonly string[], RegExp])[] = [
    [[], /write anonnet network create NAME/],
    [["create"], /write anonnet network create NAME/],
    [["make", "garden"], /write anonnet network create NAME/],
    [["create", "a", "b"], /write anonnet network create NAME/],
    [["create", "Garden"], /1 to 32 of a-z, 0-9 and -/],
    [["create", "main"], /"main": it is built in/],
    [["create", "local"], /"local": it is built in/],
    [["create", "a", "--difficulty=33"], /a number from 0 to 32/],
  ];
  for (const [words, message] of cases) {
    const { code, told } = await operator.run(["network", ...words]);
    assert.equal(code, 2, told);
    assert.match(told, message);
  }
  await operator.do(["network", "create", "a", "--state=a"]);
  const other = await operator.run(["network", "create", "b", "--state=a"]);
  assert.equal(other.code, 1);
  assert.match(other.told, /it is of network "a", and not of "b"; leave/);
});
