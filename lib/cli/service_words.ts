/**
 * Services as operators write them.
 *
 *     80=127.0.0.1:8080                      a virtual port, and where it leads
 *     blog,80=127.0.0.1:8080,22=unix:/…      a name and ports, in one word
 *
 * @module
 */
import { ConfigError } from "../base/errors.ts";
import type { ServiceDefinition } from "../node/node_services.ts";
import { serviceFileName } from "../node/service_keys.ts";
import { parseStreamTarget, type StreamTarget } from "../node/stream_target.ts";

/**
 * `PORT=TARGET`.
 *
 * @throws {ConfigError} `cli.service_port`, `service.target`.
 */
export function parsePortWord(word: string): [number, StreamTarget] {
  const [, portText = "", targetText = ""] = /^([0-9]+)=(.*)$/.exec(word) ?? [];
  const port = Number(portText);
  if (portText === "" || port < 1 || port > 65535) {
    throw new ConfigError(
      "cli.service_port",
      `Cannot serve "${word.slice(0, 80)}": write PORT=TARGET, such as ` +
        `80=127.0.0.1:8080; ports go from 1 to 65535`,
    );
  }
  return [port, parseStreamTarget(targetText)];
}

/**
 * All ports of a service, at least one, each once.
 *
 * @throws {ConfigError} `cli.service_port`, `cli.no_ports`, `service.target`.
 */
export function parsePortWords(
  words: readonly string[],
): ReadonlyMap<number, StreamTarget> {
  const targets = new Map<number, StreamTarget>();
  for (const word of words) {
    const [port, target] = parsePortWord(word);
    if (targets.has(port)) {
      throw new ConfigError(
        "cli.service_port",
        `Cannot serve port ${port} twice: write it once`,
      );
    }
    targets.set(port, target);
  }
  if (targets.size > 0) return targets;
  throw new ConfigError(
    "cli.no_ports",
    "Cannot serve nothing: write PORT=TARGET, such as 80=127.0.0.1:8080 for a " +
      "web server on this machine",
  );
}

/**
 * `NAME,PORT=TARGET,…`.
 *
 * @throws {ConfigError} as {@linkcode parsePortWords}, and `service.name`.
 */
export function parseServiceWord(word: string): ServiceDefinition {
  const [name = "", ...ports] = word.split(",");
  serviceFileName(name);
  return { name, targets: parsePortWords(ports) };
}
