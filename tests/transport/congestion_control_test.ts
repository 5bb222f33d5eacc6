import assert from "node:assert/strict";
import { congestionControlOf } from "../../lib/transport/_congestion_control.ts";

Deno.test("congestionControlOf() takes BBR for what leaves the machine, and Cubic for what does not", () => {
  for (const host of ["127.0.0.1", "127.8.0.1", "::1"]) {
    assert.equal(congestionControlOf(host), "throughput", host);
  }
  for (
    const host of ["0.0.0.0", "::", "192.0.2.1", "10.0.0.1", "2001:db8::1"]
  ) {
    assert.equal(congestionControlOf(host), "low-latency", host);
  }
});
