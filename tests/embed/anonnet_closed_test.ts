import assert from "node:assert/strict";
import { inAnonNet } from "./anonnet_world.ts";

Deno.test("AnonNet rejects with node.closed in every method once it is stopped, and writes nothing more", () =>
  inAnonNet(async (net) => {
    const machine = net.world.machine();
    const node = await net.program({}, machine);
    await node[Symbol.asyncDispose]();
    await node[Symbol.asyncDispose]();
    const host = `${"a".repeat(56)}.anon`;
    const code = { name: "UnreachableError", code: "node.closed" };
    await assert.rejects(node.fetch(`http://${host}/`), code);
    await assert.rejects(node.connect(host, 80), code);
    await assert.rejects(
      node.serve({ name: "late" }, () => new Response()),
      code,
    );
    await assert.rejects(
      node.forward({ 80: "127.0.0.1:80" }, { name: "late" }),
      code,
    );
    assert.equal(node.relayAddress, undefined);
    assert.deepEqual(node.proxies, {});
    const key = await machine.files.read("state/service-late.key");
    assert.equal(key, undefined);
  }));

Deno.test("AnonNet ends what is under way with node.closed when it is stopped", () =>
  inAnonNet(async (net) => {
    const site = await net.site(() =>
      new Response(new ReadableStream({ pull: () => new Promise(() => {}) }))
    );
    const node = await net.program();
    const code = { code: "node.closed" };
    const response = await node.fetch(`http://${site.host}/`);
    const reading = assert.rejects(response.text(), code);
    const serving = assert.rejects(node.serve({}, () => new Response()), code);
    await node[Symbol.asyncDispose]();
    await Promise.all([reading, serving]);
  }));
