import assert from "node:assert/strict";
import { TaskSet } from "../../lib/base/task_set.ts";

Deno.test("TaskSet tells its owner what a task failed with, once", async () => {
  const errors: unknown[] = [];
  const tasks = new TaskSet((error) => errors.push(error));
  tasks.run(Promise.reject("first"));
  tasks.run(Promise.resolve(7));
  await tasks.ended();
  assert.deepEqual(errors, ["first"]);
  assert.equal(tasks.size, 0);
});

Deno.test("TaskSet.ended() waits for tasks that tasks have begun", async () => {
  const tasks = new TaskSet((error) => assert.fail(String(error)));
  const inner = Promise.withResolvers<void>();
  const outer = Promise.withResolvers<void>();
  tasks.run(outer.promise.then(() => tasks.run(inner.promise)));
  let hasEnded = false;
  const ended = tasks.ended().then(() => hasEnded = true);
  outer.resolve();
  await outer.promise.then(() => {}).then(() => {}).then(() => {});
  assert.equal(tasks.size, 1);
  assert.equal(hasEnded, false);
  inner.resolve();
  await ended;
  assert.equal(tasks.size, 0);
});
