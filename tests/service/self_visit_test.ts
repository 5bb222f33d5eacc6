import assert from "node:assert/strict";
import { SELF_VISIT_WAIT_MS, SelfVisit } from "../../lib/service/self_visit.ts";

Deno.test("SelfVisit asks for a port at which there is nothing", () => {
  assert.equal(new SelfVisit([]).port, 1);
  assert.equal(new SelfVisit([80, 443]).port, 1);
  assert.equal(new SelfVisit([2, 1, 4]).port, 3);
});

Deno.test("SelfVisit is due at once", () => {
  assert.ok(new SelfVisit([80]).deadlineMs <= 0);
});

Deno.test("SelfVisit has arrived when the service itself refuses, for its port or for its clients", () => {
  for (
    const code of [
      "service.no_port",
      "service.authorisation_missing",
      "service.authorisation_wrong",
    ]
  ) {
    assert.equal(new SelfVisit([80]).onRefused(code, 0), "arrived", code);
  }
});

Deno.test("SelfVisit has not arrived when the network refuses, or the way to the service", () => {
  for (
    const code of [
      "service.not_found",
      "service.descriptor_invalid",
      "service.introduction",
      "service.introduction_timeout",
      "service.rendezvous",
      "service.unreachable",
      "service.refused",
      "service.timeout",
      "session.reset_failed",
      "session.closed",
      "circuit.ended",
    ]
  ) {
    assert.equal(new SelfVisit([80]).onRefused(code, 0), "again", code);
  }
});

Deno.test("SelfVisit waits twice as long each time, up to a limit", () => {
  const visit = new SelfVisit([80]);
  const waits: number[] = [];
  let nowMs = 1_000;
  for (let n = 0; n < 7; n++) {
    assert.equal(visit.onRefused("service.not_found", nowMs), "again");
    waits.push(visit.deadlineMs - nowMs);
    nowMs = visit.deadlineMs + 3;
  }
  assert.deepEqual(waits, [500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000]);
  assert.equal(waits.at(0), SELF_VISIT_WAIT_MS.first);
  assert.equal(waits.at(-1), SELF_VISIT_WAIT_MS.longest);
});
