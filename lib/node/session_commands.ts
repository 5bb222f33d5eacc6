/**
 * What an operator asks of, and does to, the sessions of a node's services, and asks of
 * its own with services of others.
 *
 * @see protocol §9.3 "Control interface"
 * @module
 */
import { ConfigError } from "../base/errors.ts";
import type { ControlServer } from "../control/control_server.ts";
import type { Log } from "../log/log.ts";
import type { NodeParts } from "./node_parts.ts";

const ID = /^[0-9a-f]{8}$/;

/** Register `sessions`, `visits`, `close-session` and `visit`. Parts may come later. */
export function registerSessionCommands(
  server: ControlServer,
  parts: NodeParts,
  log: Log,
): void {
  server.register(
    "sessions",
    () =>
      (parts.client?.services.sessions ?? []).map((session) => ({
        ...session,
      })),
  );
  server.register(
    "visits",
    () => (parts.client?.visits.sessions ?? []).map((visit) => ({ ...visit })),
  );
  server.register("visit", async ({ name }, { signal }) => {
    const { client } = parts;
    if (client === undefined) {
      throw new ConfigError(
        "node.no_client",
        "Cannot visit a service: this node hosts none, or not yet",
      );
    }
    const visits = await client.services.visit(String(name), { signal });
    return {
      ports: visits.map(({ port, refusal }) => ({
        port,
        refusal: refusal ? { ...refusal } : null,
      })),
    };
  });
  server.register("close-session", ({ id }) => {
    if (typeof id !== "string" || !ID.test(id)) {
      throw new ConfigError(
        "service.session_id",
        "Cannot close session: its id is 8 of 0-9 and a-f, as " +
          "anonnet services --sessions prints it",
      );
    }
    if (parts.client?.services.closeSession(id) !== true) {
      throw new ConfigError(
        "service.no_session",
        `Cannot close session ${id}: no service of this node has it; it may ` +
          `have ended`,
      );
    }
    log.part("service").info("A session was closed, as its operator wished", {
      session: id,
    });
    return { closed: id };
  });
}
