/**
 * Put programs on this machine under one address: a web server, and whatever else
 * speaks over TCP or a unix socket.
 *
 *     deno run -P examples/forward.ts NETWORK BOOTSTRAP STATE 80=127.0.0.1:8080 …
 *
 * @module
 */
// deno-lint-ignore-file no-console
import { AnonNet } from "../lib/mod.ts";

const [network = "main", bootstrap = "", state = "state", ...words] = Deno.args;
const targets = Object.fromEntries(words.map((word) => word.split("=", 2)));

await using node = await AnonNet.start({
  state,
  network,
  // A later start remembers the relays, and needs none.
  bootstrap: bootstrap === "" ? [] : [bootstrap],
});
await using service = await node.forward(targets);
const stopped = new Promise<void>((resolve) => {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, resolve);
  }
});
console.log(service.host);
await stopped;
