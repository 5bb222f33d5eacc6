/**
 * A network of one's own, whole, in one program: relays, a site, a visitor. Nodes
 * of other networks cannot talk to it.
 *
 *     deno run -P examples/own_network.ts
 *
 * @module
 */
// deno-lint-ignore-file no-console
import { AnonNet, AnonRelay, type NetworkTraits } from "../lib/mod.ts";

const network: NetworkTraits = {
  name: "club",
  powDifficulty: 0, // what a new identity costs; 12 is half a minute
  allowPrivateAddresses: true, // on the Internet: false
};
const home = await Deno.makeTempDir({ prefix: "anonnet-club-" });
await using stack = new AsyncDisposableStack();
stack.defer(() => Deno.remove(home, { recursive: true }));

const bootstrap: string[] = [];
for (let number = 1; number <= 5; number++) {
  const relay = stack.use(
    await AnonRelay.start({
      state: `${home}/relay-${number}`,
      network,
      listen: "127.0.0.1:0",
      bootstrap: bootstrap.slice(0, 1),
    }),
  );
  if (relay.address !== undefined) bootstrap.push(relay.address);
}
console.log(`${bootstrap.length} relays`);

const shared = { network, bootstrap, dialFrom: "127.0.0.1:0" };
const host = stack.use(
  await AnonNet.start({ state: `${home}/host`, ...shared }),
);
const visitor = stack.use(
  await AnonNet.start({ state: `${home}/visitor`, ...shared }),
);
const site = stack.use(
  await host.serve({}, () => new Response("Only members get here.")),
);
const response = await visitor.fetch(`http://${site.host}/`);
console.log(await response.text());
