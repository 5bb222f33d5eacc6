import assert from "node:assert/strict";
import { networkParameters } from "../../../lib/auth/network.ts";
import { sleep } from "../../../lib/base/clock.ts";
import { ConfigError } from "../../../lib/base/errors.ts";
import { reloadNode } from "../../../lib/cli/process/reload.ts";
import type { HostedService } from "../../../lib/node/host/hosted_service.ts";
import type { ServiceDefinition } from "../../../lib/node/host/node_services.ts";
import { inWholeWorld } from "../../sim/whole_world.ts";
import { RecordingLog } from "../../support/recording_log.ts";
import { echo } from "../../support/stream_handlers.ts";

const OPTIONS = {
  state: "state",
  network: networkParameters("local"),
  bootstrap: [],
  control: "off",
  logLevel: "info",
  logFormat: "text",
} as const;

function definition(name: string, maxStreams?: number): ServiceDefinition {
  const targets = new Map([[80, { type: "handler", handle: echo } as const]]);
  return { name, targets, maxStreams };
}

Deno.test("reloadNode() starts and stops services, and the stream of another goes on", () =>
  inWholeWorld({ relays: 6 }, async (world) => {
    const blog = await world.addService(echo, { name: "blog" });
    const visitor = await world.addClient("visitor");
    const stream = await visitor.role.visits.connect(
      { service: blog.publicKey, port: 80, isolation: undefined },
      { signal: new AbortController().signal },
    );
    const ask = async () => {
      await stream.write(new Uint8Array([1, 2, 3]));
      assert.deepEqual(await stream.read(), new Uint8Array([1, 2, 3]));
    };
    await ask();
    const client = blog.role;
    const node = { client, relay: undefined };
    const log = new RecordingLog();
    const names = () => client.services.status.map(({ name }) => name);
    const before = { ...OPTIONS, services: [definition("blog")] };
    const more = {
      ...OPTIONS,
      services: [definition("blog"), definition("shop")],
    };
    await reloadNode(node, before, more, log);
    assert.deepEqual(names(), ["blog", "shop"]);
    await ask();
    const changed = { ...OPTIONS, services: [definition("blog", 7)] };
    await reloadNode(node, more, changed, log);
    assert.deepEqual(names(), ["blog"]);
    assert.deepEqual(
      log.lines.map(({ fields }) => fields?.["changed"] ?? fields?.["what"]),
      ["service shop", "service shop, stopped", "service blog"],
    );
    await sleep(world.clock, 10_000);
    await ask();
    stream.abort();
  }));

Deno.test("reloadNode() tries a service that did not start again at the next reload", () =>
  inWholeWorld({ relays: 6 }, async (world) => {
    const blog = await world.addService(echo, { name: "blog" });
    const { services } = blog.role;
    let isBroken = true;
    const node = {
      relay: undefined,
      client: {
        ...blog.role,
        services: {
          named: (name: string) => services.named(name),
          stop: (service: HostedService) => services.stop(service),
          start: (wanted: ServiceDefinition) =>
            isBroken
              ? Promise.reject(new ConfigError("storage.full", "No room"))
              : services.start(wanted),
        },
      },
    };
    const log = new RecordingLog();
    const before = { ...OPTIONS, services: [definition("blog")] };
    const wanted = {
      ...OPTIONS,
      services: [definition("blog"), definition("shop")],
    };
    const first = await reloadNode(node, before, wanted, log);
    assert.deepEqual(services.status.map(({ name }) => name), ["blog"]);
    assert.match(
      log.lines.map(({ message }) => message).join(),
      /Cannot start/,
    );
    isBroken = false;
    const second = await reloadNode(node, first, wanted, log);
    assert.deepEqual(services.status.map(({ name }) => name), ["blog", "shop"]);
    assert.equal(log.lines.at(-1)?.fields?.["changed"], "service shop");
    await reloadNode(node, second, wanted, log);
    assert.equal(log.lines.at(-1)?.fields?.["changed"], "nothing");
  }));
