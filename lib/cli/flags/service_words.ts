/**
 * Services as operators write them.
 *
 *     80=127.0.0.1:8080                      a virtual port, and where it leads
 *     blog,80=127.0.0.1:8080,22=unix:/…      a name and ports, in one word
 *
 * @module
 */
import type { Bytes } from "../../base/bytes.ts";
import { ConfigError } from "../../base/errors.ts";
import {
  checkServices,
  type ServiceDefinition,
} from "../../node/host/node_services.ts";
import {
  parseClientKey,
  type ServiceAudience,
  serviceFileName,
} from "../../node/host/service_keys.ts";
import { checkMaxStreams } from "../../node/host/stream_desk.ts";
import { parseStreamTargets } from "../../node/host/stream_target.ts";

/**
 * `NAME,PORT=TARGET,…`.
 *
 * @throws {ConfigError} as {@linkcode parseStreamTargets}, and `service.name`.
 */
export function parseServiceWord(word: string): ServiceDefinition {
  const [name = "", ...ports] = word.split(",");
  serviceFileName(name);
  return { name, targets: parseStreamTargets(ports) };
}

/** One client of one service. */
export interface ClientWord {
  readonly name: string;
  readonly key: Bytes;
}

/**
 * `NAME=KEY`.
 *
 * @throws {ConfigError} `cli.client_word`, `service.name`, `service.client_key`.
 */
export function parseClientWord(word: string): ClientWord {
  const [, name, key] = /^([^=]*)=(.*)$/.exec(word) ?? [];
  if (name === undefined || key === undefined) {
    throw new ConfigError(
      "cli.client_word",
      `Cannot understand "${word.slice(0, 80)}": write NAME=KEY`,
    );
  }
  serviceFileName(name);
  return { name, key: parseClientKey(key) };
}

/**
 * Services with their clients.
 *
 * @throws {ConfigError} `cli.client_word` for a client of no service; as
 * {@linkcode checkServices}.
 */
export function withClients(
  services: readonly ServiceDefinition[],
  clients: readonly ClientWord[],
): ServiceDefinition[] {
  checkServices(services);
  for (const { name } of clients) {
    checkNamed(
      services,
      name,
      "cli.client_word",
      `Cannot authorise a client of service "${name}"`,
    );
  }
  return services.map((service) => {
    const keys = clients.filter(({ name }) => name === service.name)
      .map(({ key }) => key);
    return keys.length === 0 ? service : { ...service, clients: keys };
  });
}

/**
 * Refuse a service that is to be open to all, and to some clients alone.
 *
 * @throws {ConfigError} `cli.public`.
 */
export function checkPublic(
  { name, clients = [], isPublic = false }: ServiceAudience,
): void {
  if (!isPublic || clients.length === 0) return;
  throw new ConfigError(
    "cli.public",
    `Cannot open service "${name}" to all and to some clients alone: give ` +
      `--public or --authorise`,
  );
}

/**
 * Services of which some are open to all, also where they were not before.
 *
 * @param names Of those.
 * @throws {ConfigError} `cli.public` for a service that there is not, or that has
 * clients of its own.
 */
export function withPublic(
  services: readonly ServiceDefinition[],
  names: readonly string[],
): ServiceDefinition[] {
  for (const name of names) {
    checkNamed(
      services,
      name,
      "cli.public",
      `Cannot open service "${name}" to all`,
    );
  }
  return services.map((service) => {
    const isPublic = names.includes(service.name);
    const opened = isPublic ? { ...service, isPublic } : service;
    checkPublic(opened);
    return opened;
  });
}

/** How many streams a session of one service may have at once. */
export interface MaxStreamsWord {
  readonly name: string;
  readonly maxStreams: number;
}

/**
 * How many streams a session may have at once.
 *
 * @throws {ConfigError} `service.max_streams`.
 */
export function parseMaxStreams(text: string): number {
  const maxStreams = /^[0-9]{1,9}$/.test(text) ? Number(text) : NaN;
  checkMaxStreams(maxStreams, text.slice(0, 80));
  return maxStreams;
}

/**
 * `NAME=N`.
 *
 * @throws {ConfigError} `cli.max_streams`, `service.name`, `service.max_streams`.
 */
export function parseMaxStreamsWord(word: string): MaxStreamsWord {
  const [, name, count] = /^([^=]*)=(.*)$/.exec(word) ?? [];
  if (name === undefined || count === undefined) {
    throw new ConfigError(
      "cli.max_streams",
      `Cannot understand "${word.slice(0, 80)}": write NAME=N`,
    );
  }
  serviceFileName(name);
  return { name, maxStreams: parseMaxStreams(count) };
}

/**
 * Services of which some limit the streams of a session.
 *
 * @throws {ConfigError} `cli.max_streams` for a service that there is not, or that
 * is named twice.
 */
export function withMaxStreams(
  services: readonly ServiceDefinition[],
  words: readonly MaxStreamsWord[],
): ServiceDefinition[] {
  const limits = new Map<string, number>();
  for (const { name, maxStreams } of words) {
    if (limits.has(name)) {
      throw new ConfigError(
        "cli.max_streams",
        `Cannot limit the streams of service "${name}" twice: write it once`,
      );
    }
    checkNamed(
      services,
      name,
      "cli.max_streams",
      `Cannot limit the streams of service "${name}"`,
    );
    limits.set(name, maxStreams);
  }
  return services.map((service) => {
    const maxStreams = limits.get(service.name);
    return maxStreams === undefined ? service : { ...service, maxStreams };
  });
}

/** The file that one host of one service was given. */
export interface DelegatedWord {
  readonly name: string;
  readonly file: string;
}

/**
 * `NAME=FILE`.
 *
 * @throws {ConfigError} `cli.delegated`, `service.name`.
 */
export function parseDelegatedWord(word: string): DelegatedWord {
  const [, name, file] = /^([^=]*)=(.+)$/.exec(word) ?? [];
  if (name === undefined || file === undefined) {
    throw new ConfigError(
      "cli.delegated",
      `Cannot understand "${word.slice(0, 80)}": write NAME=FILE`,
    );
  }
  serviceFileName(name);
  return { name, file };
}

/**
 * The file of each service that has one, by name.
 *
 * @throws {ConfigError} `cli.delegated` for a service that there is not, or that is
 * named twice.
 */
export function delegatedFiles(
  services: readonly ServiceDefinition[],
  words: readonly DelegatedWord[],
): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  for (const { name, file } of words) {
    const what = `Cannot host service "${name}" by a host file`;
    checkNamed(services, name, "cli.delegated", what);
    if (files.has(name)) {
      throw new ConfigError("cli.delegated", `${what} twice: write it once`);
    }
    files.set(name, file);
  }
  return files;
}

/**
 * Services of which some tell their targets by the PROXY protocol what belongs together.
 *
 * @param names Of those.
 * @throws {ConfigError} `cli.proxy_protocol` for a service that there is not.
 */
export function withProxyProtocol(
  services: readonly ServiceDefinition[],
  names: readonly string[],
): ServiceDefinition[] {
  for (const name of names) {
    checkNamed(
      services,
      name,
      "cli.proxy_protocol",
      `Cannot use the PROXY protocol for service "${name}"`,
    );
  }
  return services.map((service) =>
    names.includes(service.name) ? { ...service, proxyProtocol: true } : service
  );
}

/** @throws {ConfigError} `code`, with `what` cannot be done, for a service that there is not. */
function checkNamed(
  services: readonly ServiceDefinition[],
  name: string,
  code: string,
  what: string,
): void {
  if (services.some((service) => service.name === name)) return;
  throw new ConfigError(code, `${what}: there is no such service`);
}
