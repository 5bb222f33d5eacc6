/**
 * Visit a service and print what it answers.
 *
 *     deno run -P examples/visit.ts NETWORK BOOTSTRAP STATE URL
 *
 * @module
 */
// deno-lint-ignore-file no-console
import { AnonNet, AnonNetError } from "../lib/mod.ts";

const [network = "main", bootstrap = "", state = "state", url = ""] = Deno.args;

try {
  await using node = await AnonNet.start({
    state,
    network,
    // A later start remembers the relays, and needs none.
    bootstrap: bootstrap === "" ? [] : [bootstrap],
  });
  // What belongs to one person or purpose shares a key; nothing else does.
  const response = await node.fetch(url, {
    isolate: "example",
    signal: AbortSignal.timeout(60_000),
  });
  console.log(response.status, response.headers.get("content-type"));
  console.log(await response.text());
} catch (error) {
  if (!(error instanceof AnonNetError)) throw error;
  console.error(`${error.code}: ${error.message}`);
  Deno.exitCode = 1;
}
