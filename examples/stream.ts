/**
 * Talk to a service over a stream of bytes, as `nc` does: standard input there,
 * what comes back to standard output.
 *
 *     deno run -P examples/stream.ts NETWORK BOOTSTRAP STATE HOST PORT
 *
 * @module
 */
import { AnonNet } from "../lib/mod.ts";

const [
  network = "main",
  bootstrap = "",
  state = "state",
  host = "",
  port = "",
] = Deno.args;

await using node = await AnonNet.start({
  state,
  network,
  // A later start remembers the relays, and needs none.
  bootstrap: bootstrap === "" ? [] : [bootstrap],
});
using connection = await node.connect(host, Number(port), {
  isolate: crypto.randomUUID(),
});
// Each direction has its own end: closing ours leaves theirs open.
await Promise.all([
  Deno.stdin.readable.pipeTo(connection.writable),
  connection.readable.pipeTo(Deno.stdout.writable, { preventClose: true }),
]);
