import assert from "node:assert/strict";
import { formatRelayText } from "../../../lib/cli/process/ready.ts";

Deno.test("formatRelayText() promises an address only to a relay that knows others", () => {
  const text = (knowsOthers: boolean) =>
    formatRelayText({ address: undefined, knowsOthers }).join("\n");
  assert.match(text(true), /ready; where others can dial it will turn out/);
  const alone = text(false);
  assert.match(alone, /no node can join the network by it yet/);
  assert.match(alone, /--advertise IP:PORT, or with --listen on that address/);
  assert.doesNotMatch(alone, /turn out/);
});
