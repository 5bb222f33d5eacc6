import assert from "node:assert/strict";
import { onAbort } from "../../lib/base/on_abort.ts";

Deno.test("onAbort() tells the reason once, at once where the signal has aborted", () => {
  const heard: string[] = [];
  const controller = new AbortController();
  using _before = onAbort(
    controller.signal,
    (reason) => heard.push(String(reason)),
  );
  assert.equal(heard.length, 0);
  controller.abort("enough");
  assert.deepEqual(heard, ["enough"]);
  using _after = onAbort(
    controller.signal,
    (reason) => heard.push(String(reason)),
  );
  assert.deepEqual(heard, ["enough", "enough"]);
});

Deno.test("onAbort() is silent once disposed", () => {
  const heard: string[] = [];
  const controller = new AbortController();
  onAbort(controller.signal, (reason) => heard.push(String(reason)))
    [Symbol.dispose]();
  controller.abort("enough");
  assert.equal(heard.length, 0);
});
