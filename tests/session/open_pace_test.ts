import assert from "node:assert/strict";
import { ProtocolError } from "../../lib/base/errors.ts";
import { GIVEN_UP, OpenPace, OPENS } from "../../lib/session/open_pace.ts";

const wanted = (id: number) => ({ id, port: 80 });

Deno.test("OpenPace opens so many at once, and the others in order as time goes by", () => {
  const pace = new OpenPace(0);
  for (let id = 1; id <= OPENS.burst; id++) {
    assert.ok(pace.mayOpen(wanted(id), 0));
  }
  assert.equal(pace.dueMs, Infinity);
  const late = [10_001, 10_002, 10_003];
  for (const id of late) assert.ok(!pace.mayOpen(wanted(id), 0));
  assert.ok(pace.isWaiting(10_002));
  pace.forget(10_002);
  assert.equal(pace.dueMs, 1000 / OPENS.perSecond);
  assert.deepEqual(pace.onTime(pace.dueMs), [wanted(10_001)]);
  assert.ok(!pace.mayOpen(wanted(10_004), 10_000), "not before those who wait");
  assert.deepEqual(pace.onTime(10_000), [wanted(10_003), wanted(10_004)]);
  assert.equal(pace.dueMs, Infinity);
});

Deno.test("OpenPace ends a session whose client gives up streams without end", () => {
  const pace = new OpenPace(0);
  for (let n = 0; n < GIVEN_UP.burst; n++) pace.onGivenUp(0);
  pace.onGivenUp(1000 / GIVEN_UP.perSecond);
  assert.throws(
    () => pace.onGivenUp(1000 / GIVEN_UP.perSecond),
    (error) =>
      error instanceof ProtocolError && error.code === "session.reset_flood",
  );
});
