/**
 * A service comes back by itself, over real processes: when all its introduction
 * points are killed at once, and when it is restarted; and so does a proxy.
 *
 * @module
 */
import assert from "node:assert/strict";
import { askObject, guardsOf, objectOf } from "../support/asked_node.ts";
import { untilFound } from "../support/polling.ts";
import {
  type NodeProcess,
  ProcessNetwork,
} from "../support/process_network.ts";

/**
 * A service or a proxy must be back by then, ms. The promise is 30 s; beside all other tests of
 * the suite processes get a part of the machine each (`deno task long:reachability`).
 */
const BACK_MS = Deno.env.get("ALONE") === undefined ? 90_000 : 30_000;
/** Those that are left must do for circuits of four hops. */
const RELAYS = 10;
const POINTS = 3;

/** The relays where services listen. */
async function pointsOf(
  relays: readonly NodeProcess[],
): Promise<NodeProcess[]> {
  const listening = await Promise.all(relays.map(async ({ state }) => {
    const { relayed } = await askObject(state, "circuits");
    return Number(objectOf(relayed)["listening"]) > 0;
  }));
  return relays.filter((_, index) => listening[index]);
}

/**
 * A service whose introduction points can die without both guards of it, or of the
 * newcomer. Chance makes both guards of a node points once in fifteen times here; then
 * others stand in after a minute.
 */
async function serviceAndPoints(
  network: ProcessNetwork,
  newcomer: NodeProcess,
  target: string,
) {
  for (let number = 1;; number++) {
    const service = await network.start("serve", `service-${number}`, [target]);
    const points = await untilFound(
      async () => {
        const points = await pointsOf(network.relays);
        return points.length >= POINTS ? points : undefined;
      },
      BACK_MS,
      "introduction points",
    );
    const all = [service, newcomer].map((node) =>
      guardsOf(node, network.relays)
    );
    const isLeft = (guards: readonly NodeProcess[]) =>
      guards.some((guard) => !points.includes(guard));
    if ((await Promise.all(all)).every(isLeft)) return { service, points };
    await service.end();
    await untilFound(
      async () =>
        (await pointsOf(network.relays)).length === 0 ? true : undefined,
      BACK_MS,
      "the end of the introduction points",
    );
  }
}

/** Fetch through a proxy, again and again until it works. @returns How long it took, ms. */
async function timeToReach(proxy: NodeProcess, host: string): Promise<number> {
  const startMs = performance.now();
  await untilFound(
    async () => {
      // Connections to the proxy that are kept open would be those of a former one.
      using client = Deno.createHttpClient({
        proxy: { url: `http://${proxy.http}` },
        poolMaxIdlePerHost: 0,
      });
      const response = await fetch(`http://${host}/`, { client });
      const text = await response.text();
      return text === "hello" ? text : undefined;
    },
    BACK_MS,
    "the service",
  );
  return performance.now() - startMs;
}

Deno.test("a service is back within 30 s after all its introduction points were killed, and it and a proxy after a restart, and a proxy that was killed", async () => {
  await using server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => new Response("hello"),
  );
  await using network = await ProcessNetwork.start({ relays: RELAYS });
  const target = `80=127.0.0.1:${server.addr.port}`;
  const newcomer = await network.proxy("newcomer");
  const within = (what: string, tookMs: number) =>
    assert.ok(tookMs <= BACK_MS, `${what}: back after ${tookMs} ms`);

  const { service, points } = await serviceAndPoints(network, newcomer, target);
  const { host } = service;
  for (const point of points) point.process.signal("SIGKILL");
  within("points", await timeToReach(newcomer, host));

  const restartMs = performance.now();
  await service.restart();
  assert.equal(service.host, host);
  await timeToReach(newcomer, host);
  within("service", performance.now() - restartMs);

  for (const manner of ["stop", "kill"] as const) {
    const againMs = performance.now();
    await newcomer.restart(manner);
    await timeToReach(newcomer, host);
    within(`proxy, ${manner}`, performance.now() - againMs);
  }
});
