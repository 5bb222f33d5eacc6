/**
 * Services that were added while the node ran, and are to be there again after it was
 * started anew. They are remembered beside their keys; the operator's configuration is
 * the operator's, and nothing is written to it.
 *
 *     added-services.blob   { services: [{ name, targets: [{ port, target }, …],
 *                             clients?, public?, proxy?, streams? }, …] }
 *
 * @see protocol §9.1 "State directory"
 * @module
 */
import { ConfigError, ProtocolError } from "../../base/errors.ts";
import type { Log } from "../../log/log.ts";
import {
  CLIENT_KEY_BYTES,
  MAX_CLIENTS,
} from "../../service/client_authorisation.ts";
import type { StateDirectory } from "../../storage/state_directory.ts";
import { encodeCbor } from "../../wire/cbor.ts";
import { decodeFields, type Fields } from "../../wire/fields.ts";
import { MAX_SERVICES, type ServiceDefinition } from "../host/node_services.ts";
import {
  formatStreamTarget,
  MAX_TARGETS,
  parseStreamTarget,
} from "../host/stream_target.ts";

const FILE = "added-services";
const MAX_NAME_BYTES = 32;
/** Longest target: the path of a socket. */
const MAX_TARGET_BYTES = 4096;
const MAX_PORT = 65_535;
const MAX_STREAMS = 4096;
/** Values of all services together: five of each port, and some of each service. */
const MAX_ITEMS = MAX_SERVICES * (5 * MAX_TARGETS + MAX_CLIENTS + 32);

/** The services that come back, by name. */
export class KeptServices {
  readonly #state: StateDirectory;
  #services: readonly ServiceDefinition[];
  /** One write after the other: the last word is the one that stays. */
  #written: Promise<void> = Promise.resolve();

  private constructor(
    state: StateDirectory,
    services: readonly ServiceDefinition[],
  ) {
    this.#state = state;
    this.#services = services;
  }

  /** Read what there is; what is damaged is set aside. @throws {ConfigError} `storage.*`. */
  static async load(state: StateDirectory, log: Log): Promise<KeptServices> {
    const stored = await state.blobs.read(FILE);
    if (stored === undefined) return new KeptServices(state, []);
    try {
      const fields = decodeFields(stored, "added services", {
        maxItems: MAX_ITEMS,
      });
      const services = fields.mapArray("services", MAX_SERVICES).map(readOne);
      fields.finish();
      return new KeptServices(state, services);
    } catch (error) {
      if (!(error instanceof ProtocolError || error instanceof ConfigError)) {
        throw error;
      }
      log.part("service").warning(
        "What services were added cannot be read; add them again",
      );
      await state.blobs.setAside(FILE);
      return new KeptServices(state, []);
    }
  }

  /** In the order in which they were added. */
  get all(): readonly ServiceDefinition[] {
    return this.#services;
  }

  /** Remember one, in place of one of its name. @throws {ConfigError} `storage.*`. */
  async add(service: ServiceDefinition): Promise<void> {
    await this.#write([...this.#without(service.name), service]);
  }

  /** Forget one. @throws {ConfigError} `storage.*`. */
  async remove(name: string): Promise<void> {
    await this.#write(this.#without(name));
  }

  #without(name: string): ServiceDefinition[] {
    return this.#services.filter((service) => service.name !== name);
  }

  async #write(services: readonly ServiceDefinition[]): Promise<void> {
    const before = this.#services;
    this.#services = services;
    const write = this.#written.then(() =>
      this.#state.blobs.write(
        FILE,
        encodeCbor({ services: this.#services.map(writeOne) }),
      )
    );
    this.#written = write.catch(() => {});
    try {
      await write;
    } catch (error) {
      if (this.#services === services) this.#services = before;
      throw error;
    }
  }
}

function writeOne(service: ServiceDefinition) {
  const { name, targets, clients, isPublic, proxyProtocol, maxStreams } =
    service;
  return {
    name,
    targets: Array.from(
      targets,
      ([port, target]) => ({ port, target: formatStreamTarget(target) }),
    ),
    clients: clients && [...clients],
    public: isPublic === true ? true : undefined,
    proxy: proxyProtocol === true ? true : undefined,
    streams: maxStreams,
  };
}

function readOne(fields: Fields): ServiceDefinition {
  const clients = fields.has("clients")
    ? fields.bytesArray("clients", MAX_CLIENTS, { length: CLIENT_KEY_BYTES })
    : undefined;
  const service: ServiceDefinition = {
    name: fields.text("name", MAX_NAME_BYTES),
    targets: new Map(
      fields.mapArray("targets", MAX_TARGETS).map((entry) => {
        const port = entry.uint("port", MAX_PORT);
        const target = entry.text("target", MAX_TARGET_BYTES);
        entry.finish();
        return [port, parseStreamTarget(target)];
      }),
    ),
    clients,
    isPublic: fields.has("public") && fields.boolean("public"),
    proxyProtocol: fields.has("proxy") && fields.boolean("proxy"),
    maxStreams: fields.has("streams")
      ? fields.uint("streams", MAX_STREAMS)
      : undefined,
  };
  fields.finish();
  return service;
}
