/**
 * What services and their clients keep in the state directory.
 *
 *     service-<name>.key    the service's Ed25519 seed: its address
 *     service-<name>.blob   { revision }: the highest one of its descriptors
 *     client.key            a seed, from which a key follows for each service that
 *                           wants to know its clients: no two services see the same
 *
 *     client secret = HKDF(seed, service key, "anonnet v1 client key", 32)
 *
 * @see protocol §7.3 "Descriptors", §9.1 "State directory"
 * @module
 */
import { Identity, type PublicKey } from "../../auth/identity.ts";
import {
  type Bytes,
  formatBase32,
  parseBase32,
  utf8,
} from "../../base/bytes.ts";
import { ConfigError, ProtocolError } from "../../base/errors.ts";
import { type CryptoSuite, X25519_BYTES } from "../../crypto/suite.ts";
import { formatServiceHost, parseServiceHost } from "../../service/address.ts";
import type { StateDirectory } from "../../storage/state_directory.ts";
import { encodeCbor } from "../../wire/cbor.ts";
import { decodeFields } from "../../wire/fields.ts";
import type { Runtime } from "../../machine/runtime.ts";
import type { RevisionStore } from "./descriptor_publisher.ts";

const CLIENT_KEY = "client";
const CLIENT_INFO = utf8("anonnet v1 client key");

/** Longest name of a service. */
const MAX_SERVICE_NAME = 32;

/**
 * Name of a service's files.
 *
 * @throws {ConfigError} `service.name` unless 1 to 32 lower-case letters, digits
 * and hyphens.
 */
export function serviceFileName(name: string): string {
  if (!/^[a-z0-9-]{1,32}$/.test(name)) {
    throw new ConfigError(
      "service.name",
      `Cannot name a service "${name.slice(0, 40)}": use 1 to ` +
        `${MAX_SERVICE_NAME} lower-case letters, digits and hyphens`,
    );
  }
  return `service-${name}`;
}

/**
 * The key of a service: read, or made and stored at its first start.
 *
 * @throws {ConfigError} `service.name`, or `storage.key_*` when there is one that
 * cannot be used. It is never replaced by a new one.
 */
export async function loadServiceIdentity(
  state: StateDirectory,
  name: string,
  { crypto, random, log }: Pick<Runtime, "crypto" | "random" | "log">,
): Promise<Identity> {
  const file = serviceFileName(name);
  const { seed, isNew } = await state.keys.readOrMake(file, random);
  const identity = new Identity(crypto, seed);
  seed.fill(0);
  if (isNew) {
    log.info("Made the key of a service; keep a copy of its file", { name });
  }
  return identity;
}

/** Keeps the revision of a service of this name. @throws {ConfigError} `service.name`. */
export function revisionStore(
  state: StateDirectory,
  name: string,
): RevisionStore {
  const file = serviceFileName(name);
  return {
    async read() {
      const stored = await state.blobs.read(file);
      if (stored === undefined) return 0;
      try {
        const fields = decodeFields(stored, "service blob");
        const revision = fields.uint("revision");
        fields.finish();
        return revision;
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        await state.blobs.setAside(file);
        return 0;
      }
    },
    async write(revision) {
      await state.blobs.write(file, encodeCbor({ revision }));
    },
  };
}

/** A client's public key as people pass it on: 52 characters. */
function formatClientKey(publicKey: Uint8Array): string {
  return formatBase32(publicKey);
}

/** @throws {ConfigError} `service.client_key`. */
export function parseClientKey(text: string): Bytes {
  const bytes = parseBase32(text.trim());
  if (bytes?.length !== X25519_BYTES || bytes.every((byte) => byte === 0)) {
    throw new ConfigError(
      "service.client_key",
      "Cannot read client key: it has 52 letters and digits 2 to 7",
    );
  }
  return bytes;
}

/** Our keys for services that let only some find them; made when first asked for. */
export class ClientKeys {
  readonly #state: StateDirectory;
  readonly #runtime: Pick<Runtime, "crypto" | "random">;
  #seed: Bytes | undefined;

  /** @param state Of the node that visits. */
  constructor(
    state: StateDirectory,
    runtime: Pick<Runtime, "crypto" | "random">,
  ) {
    this.#state = state;
    this.#runtime = runtime;
  }

  /** Read what there is. @throws {ConfigError} `storage.key_*`. */
  async load(): Promise<void> {
    this.#seed = await this.#state.keys.read(CLIENT_KEY);
  }

  /** Our X25519 secret for a service; `undefined` where `client.key` was never made. */
  secret(service: PublicKey): Bytes | undefined {
    return this.#seed === undefined
      ? undefined
      : clientSecret(this.#runtime.crypto, this.#seed, service);
  }

  /**
   * Our public key for one service, as its operator is given it; `client.key` is
   * made if there is none. It counts from now on, also for a node that runs.
   *
   * @throws {ConfigError} `service.address_*`, `storage.key_*`.
   */
  async keyFor(host: string): Promise<string> {
    const { crypto, random } = this.#runtime;
    const service = parseServiceHost(crypto, host);
    const { seed } = await this.#state.keys.readOrMake(CLIENT_KEY, random);
    this.#seed = seed;
    const secret = clientSecret(crypto, seed, service);
    const publicKey = crypto.x25519Public(secret);
    secret.fill(0);
    return formatClientKey(publicKey);
  }
}

function clientSecret(
  crypto: CryptoSuite,
  seed: Uint8Array,
  service: PublicKey,
): Bytes {
  return crypto.hkdf(seed, service, CLIENT_INFO, X25519_BYTES);
}

/** The address of a service by its public key. */
export function serviceHostOf(
  crypto: CryptoSuite,
  publicKey: PublicKey,
): string {
  return formatServiceHost(crypto, publicKey);
}
