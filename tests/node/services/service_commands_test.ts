import assert from "node:assert/strict";
import type { ControlHandler } from "../../../lib/control/control_server.ts";
import type { JsonObject } from "../../../lib/control/json.ts";
import {
  type HostedPart,
  registerServiceCommands,
} from "../../../lib/node/services/service_commands.ts";
import { openHosted } from "./services_world.ts";
import { inServiceWorld, NEVER } from "../session/service_world.ts";

const WEB = { name: "web", ports: ["80=127.0.0.1:8080"] };

/** The commands of a node, called as its control interface does. */
function commandsOf(parts: HostedPart) {
  const handlers = new Map<string, ControlHandler>();
  registerServiceCommands({
    register: (name, handler) => void handlers.set(name, handler),
  }, parts);
  return async (command: string, args: JsonObject = {}) =>
    await handlers.get(command)?.(args, { signal: NEVER });
}

Deno.test("add-service, services and remove-service add, list and remove a service", () =>
  inServiceWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const { hosted, kept } = await openHosted(world, stack);
    const call = commandsOf({ hosted });
    const added = await call("add-service", WEB) as JsonObject;
    assert.match(String(added["host"]), /^[a-z2-7]{56}\.anon$/);
    assert.deepEqual(added, {
      name: "web",
      host: added["host"],
      ports: [80],
      kept: true,
    });
    const listed = await call("services") as JsonObject[];
    assert.deepEqual(
      listed.map(({ name, host, owner, kept }) => [name, host, owner, kept]),
      [["web", added["host"], "operator", true]],
    );
    assert.equal(kept.all.length, 1);
    assert.deepEqual(
      await call("remove-service", { service: String(added["host"]) }),
      { name: "web", host: added["host"] },
    );
    assert.deepEqual(await call("services"), []);
    assert.equal(kept.all.length, 0);
    await call("add-service", { ...WEB, ephemeral: true });
    assert.equal(kept.all.length, 0);
  }));

Deno.test("add-service refuses what makes no sense, and hosts nothing then", () =>
  inServiceWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const { hosted } = await openHosted(world, stack);
    const call = commandsOf({ hosted });
    const twice = [...WEB.ports, "80=127.0.0.1:8081"];
    for (
      const [args, code] of [
        [{ ...WEB, ports: twice }, "service.port"],
        [{ ...WEB, ports: ["0=127.0.0.1:1"] }, "service.port"],
        [{ ...WEB, ports: ["80=example.com:80"] }, "service.target"],
        [{ ...WEB, ports: [] }, "service.no_ports"],
        [{ ...WEB, ports: "80=127.0.0.1:8080" }, "node.argument"],
        [{ ...WEB, ports: [80] }, "node.argument"],
        [{ name: "web" }, "service.no_ports"],
        [{ ports: WEB.ports }, "node.argument"],
        [{ ...WEB, name: "" }, "service.name"],
        [{ ...WEB, name: "../x" }, "service.name"],
        [{ ...WEB, clients: [] }, "service.audience"],
        [{ ...WEB, clients: ["x"] }, "service.client_key"],
        [{ ...WEB, public: "yes" }, "node.argument"],
        [{ ...WEB, ephemeral: 1 }, "node.argument"],
        [{ ...WEB, maxStreams: "1" }, "node.argument"],
        [{ ...WEB, maxStreams: 0 }, "service.max_streams"],
        [{ ...WEB, maxStreams: 1.5 }, "service.max_streams"],
      ] as const
    ) {
      await assert.rejects(
        call("add-service", args as unknown as JsonObject),
        { name: "ConfigError", code },
        JSON.stringify(args),
      );
    }
    assert.deepEqual(await call("services"), []);
    for (
      const [args, code] of [
        [{}, "node.argument"],
        [{ service: "web" }, "service.no_service"],
      ] as const
    ) {
      await assert.rejects(call("remove-service", args as JsonObject), {
        code,
      });
    }
  }));

Deno.test("add-service and remove-service say that a node without circuits hosts nothing", async () => {
  const call = commandsOf({});
  assert.deepEqual(await call("services"), []);
  for (const command of ["add-service", "remove-service"]) {
    await assert.rejects(call(command, { ...WEB, service: "web" }), {
      code: "node.no_client",
    });
  }
});
