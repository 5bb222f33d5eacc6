/**
 * Host a guest book: a site from a function, without a web server.
 *
 *     deno run -P examples/site.ts NETWORK BOOTSTRAP STATE
 *
 * The address is kept in STATE: start it again, and it is the same.
 *
 * @module
 */
// deno-lint-ignore-file no-console
import { AnonNet } from "../lib/mod.ts";

const [network = "main", bootstrap = "", state = "guest-book"] = Deno.args;
const entries: string[] = [];

await using node = await AnonNet.start({
  state,
  network,
  // A later start remembers the relays, and needs none.
  bootstrap: bootstrap === "" ? [] : [bootstrap],
});

await using site = await node.serve({ name: "guests" }, async (request) => {
  const { pathname } = new URL(request.url);
  if (pathname !== "/") return new Response("No such page\n", { status: 404 });
  if (request.method === "POST") {
    entries.push((await request.text()).slice(0, 200));
    return Response.redirect(request.url, 303);
  }
  return new Response(entries.map((entry) => `* ${entry}\n`).join(""));
});

const stopped = new Promise<void>((resolve) => {
  for (const signal of ["SIGINT", "SIGTERM"] as const) {
    Deno.addSignalListener(signal, resolve);
  }
});
console.log(`http://${site.host}/`);
await stopped;
