/**
 * Adding and removing services of a node that runs.
 *
 * @see protocol §9.3 "Control interface"
 * @module
 */
import { ConfigError } from "../../base/errors.ts";
import type { ControlServer } from "../../control/control_server.ts";
import type { JsonObject, JsonValue } from "../../control/json.ts";
import { parseClientKey, serviceFileName } from "../host/service_keys.ts";
import { parseStreamTargets } from "../host/stream_target.ts";
import type { HostedServices, ServiceWish } from "./hosted_services.ts";

/** Where the services are, once there are any. */
export interface HostedPart {
  readonly hosted?: HostedServices;
}

/** Register `services`, `add-service` and `remove-service`. Parts may come later. */
export function registerServiceCommands(
  server: Pick<ControlServer, "register">,
  parts: HostedPart,
): void {
  server.register("services", () => {
    const services = parts.hosted?.list() ?? [];
    const shown = services.map(({ isKept: kept, isMine: _, ...service }) => ({
      ...service,
      kept,
    }));
    // As JSON takes it: what is `undefined` is left out.
    const answer: JsonValue = JSON.parse(JSON.stringify(shown));
    return answer;
  });
  server.register("add-service", async (args) => {
    const hosted = hostedOf(parts);
    const wish = wishOf(args);
    const { name, host } = await hosted.add(wish);
    const kept = wish.keep === "state";
    return { name, host, ports: [...wish.targets.keys()], kept };
  });
  server.register("remove-service", async ({ service }) => {
    const hosted = hostedOf(parts);
    const { name, host } = await hosted.remove(textOf(service, "service"));
    return { name, host: host ?? null };
  });
}

/** @throws {ConfigError} `node.no_client`. */
function hostedOf({ hosted }: HostedPart): HostedServices {
  if (hosted !== undefined) return hosted;
  throw new ConfigError(
    "node.no_client",
    "Cannot do that: this node builds no circuits of its own, or not yet; services " +
      "need a node that is a proxy or hosts one already",
  );
}

/** What `add-service` asks for. @throws {ConfigError} `service.*`, `node.argument`. */
function wishOf(args: JsonObject): ServiceWish {
  const isEphemeral = switchOf(args, "ephemeral");
  const { maxStreams, clients } = args;
  const name = textOf(args["name"], "name");
  serviceFileName(name);
  return {
    name,
    targets: parseStreamTargets(textsOf(args["ports"] ?? [], "ports")),
    key: { type: isEphemeral ? "new" : "stored" },
    keep: isEphemeral ? "memory" : "state",
    clients: clients === undefined
      ? undefined
      : textsOf(clients, "clients").map(parseClientKey),
    isPublic: switchOf(args, "public"),
    proxyProtocol: switchOf(args, "proxyProtocol"),
    maxStreams: maxStreams === undefined
      ? undefined
      : numberOf(maxStreams, "maxStreams"),
  };
}

function textOf(value: JsonValue | undefined, what: string): string {
  if (typeof value === "string") return value;
  throw wrong(what, "a text");
}

function textsOf(value: JsonValue, what: string): string[] {
  if (!Array.isArray(value)) throw wrong(what, "a list of texts");
  return value.map((item) => textOf(item, what));
}

function numberOf(value: JsonValue, what: string): number {
  if (typeof value === "number") return value;
  throw wrong(what, "a number");
}

function switchOf(args: JsonObject, what: string): boolean {
  const value = args[what] ?? false;
  if (typeof value === "boolean") return value;
  throw wrong(what, "true or false");
}

function wrong(what: string, wanted: string): ConfigError {
  return new ConfigError(
    "node.argument",
    `Cannot understand the request: ${what} must be ${wanted}`,
  );
}
