import assert from "node:assert/strict";
import type { ServiceDefinition } from "../../../lib/node/host/node_services.ts";
import { parseStreamTargets } from "../../../lib/node/host/stream_target.ts";
import { KeptServices } from "../../../lib/node/services/kept_services.ts";
import { encodeCbor } from "../../../lib/wire/cbor.ts";
import { inServiceWorld } from "../session/service_world.ts";
import { openHosted } from "./services_world.ts";

const PLAIN: ServiceDefinition = {
  name: "plain",
  targets: parseStreamTargets(["80=127.0.0.1:8080"]),
  clients: undefined,
  isPublic: false,
  proxyProtocol: false,
  maxStreams: undefined,
};
const FULL: ServiceDefinition = {
  name: "full",
  targets: parseStreamTargets(["80=[::1]:8080", "22=unix:/run/ssh.sock"]),
  clients: [new Uint8Array(64).fill(1), new Uint8Array(64).fill(2)],
  isPublic: false,
  proxyProtocol: true,
  maxStreams: 7,
};

Deno.test("KeptServices reads back what was added, and forgets what was removed", () =>
  inServiceWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const { state, log } = await openHosted(world, stack);
    const kept = await KeptServices.load(state, log);
    const isPublic = { ...PLAIN, name: "public", isPublic: true };
    await Promise.all([PLAIN, FULL, isPublic].map((one) => kept.add(one)));
    assert.deepEqual(
      (await KeptServices.load(state, log)).all,
      [PLAIN, FULL, isPublic],
    );
    await Promise.all([kept.remove("full"), kept.remove("none")]);
    assert.deepEqual(
      (await KeptServices.load(state, log)).all,
      [PLAIN, isPublic],
    );
  }));

Deno.test("KeptServices sets what it cannot read aside, and goes on without", () =>
  inServiceWorld(async (world) => {
    const port = { port: 80, target: "127.0.0.1:8080" };
    for (
      const services of [
        "none",
        [{ name: "web" }],
        [{ name: "web", targets: [{ port: 80, target: "example.com:80" }] }],
        [{ name: "web", targets: [{ port: 70_000, target: "127.0.0.1:1" }] }],
        [{ name: "web", targets: [port], more: 1 }],
        Array(257).fill({ name: "web", targets: [port] }),
      ]
    ) {
      await using stack = new AsyncDisposableStack();
      const { state, context } = await openHosted(world, stack);
      await state.blobs.write("added-services", encodeCbor({ services }));
      const kept = await KeptServices.load(state, context.log);
      assert.deepEqual(kept.all, []);
      assert.equal(context.log.messages("warning").length, 1);
      assert.equal(await state.blobs.read("added-services"), undefined);
    }
  }));
