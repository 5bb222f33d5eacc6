import assert from "node:assert/strict";
import { UnreachableError } from "../../../lib/base/errors.ts";
import { blame, howEnded } from "../../../lib/node/circuit/circuit_blame.ts";

Deno.test("howEnded() takes no word but ours that a circuit is done", () => {
  assert.equal(howEnded({ code: "done" }, "alone"), "done");
  assert.equal(howEnded({ code: "destroyed" }, "alone"), "lost");
  for (
    const reason of [
      "done",
      "protocol",
      "timeout",
      "overloaded",
      "stopping",
    ] as const
  ) assert.equal(howEnded({ code: "closed", hop: 3, reason }, "alone"), "lost");
  for (const code of ["bad_cell", "protocol", "timeout"] as const) {
    assert.equal(howEnded({ code, hop: 2 }, "alone"), "lost");
  }
});

Deno.test("blame() accuses the first hop alone of a silent end before it has answered", () => {
  const end = { code: "destroyed" } as const;
  assert.equal(blame({ code: "ended", hop: 1, end }).hop, 0);
  assert.equal(blame({ code: "ended", hop: 2, end }).hop, undefined);
  assert.equal(blame({ code: "ended", hop: 3, end }).hop, undefined);
  const done = { code: "done" } as const;
  assert.deepEqual(blame({ code: "ended", hop: 1, end: done }), {
    hop: undefined,
    failure: "cancelled",
  });
});

Deno.test("blame() accuses the relay that was to be added when the one before it says no", () => {
  for (
    const [reason, failure] of [
      ["refused", "refused"],
      ["overloaded", "refused"],
      ["unreachable", "unreachable"],
      ["timeout", "timeout"],
      ["closed", "destroyed"],
    ] as const
  ) {
    assert.deepEqual(blame({ code: "not_extended", hop: 3, reason }), {
      hop: 2,
      failure,
    });
  }
});

Deno.test("howEnded() leaves joined circuits to the budget of their session", () => {
  assert.equal(howEnded({ code: "destroyed" }, "joined"), "done");
  assert.equal(howEnded({ code: "timeout", hop: 1 }, "joined"), "done");
});

Deno.test("blame() takes a guard whose streams we have used up for full, not for gone", () => {
  for (const code of ["link.full", "link.streams", "link.busy"]) {
    const error = new UnreachableError(code, "No room");
    assert.deepEqual(blame({ code: "unlinked", hop: 1, error }), {
      hop: undefined,
      failure: "full",
    });
  }
  const error = new UnreachableError("link.lost", "Gone");
  assert.deepEqual(blame({ code: "unlinked", hop: 1, error }), {
    hop: 0,
    failure: "unreachable",
  });
});
