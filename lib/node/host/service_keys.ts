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
import { BugError, ConfigError, ProtocolError } from "../../base/errors.ts";
import { type CryptoSuite, X25519_BYTES } from "../../crypto/suite.ts";
import { formatServiceHost, parseServiceHost } from "../../service/address.ts";
import type { StateDirectory } from "../../storage/state_directory.ts";
import { encodeCbor } from "../../wire/cbor.ts";
import { decodeFields } from "../../wire/fields.ts";
import type { ClientSecrets } from "../visit/descriptor_finder.ts";
import type { Runtime } from "../../machine/runtime.ts";
import type { RevisionStore } from "./service_host.ts";

const CLIENT_KEY = "client";
const CLIENT_INFO = utf8("anonnet v1 client key");

/** Longest name of a service. */
export const MAX_SERVICE_NAME = 32;

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
  const stored = await state.keys.read(file);
  if (stored !== undefined) {
    const identity = new Identity(crypto, stored);
    stored.fill(0);
    return identity;
  }
  const identity = Identity.generate(crypto, random);
  const seed = identity.exportSeed();
  // Stored before anybody hears of it.
  await state.keys.create(file, seed);
  seed.fill(0);
  log.info("Made the key of a service; keep a copy of its file", { name });
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

/**
 * Our keys for services that want to know their clients; none where `client.key`
 * was never made.
 *
 * @throws {ConfigError} `storage.key_*`.
 */
export async function loadClientSecrets(
  state: StateDirectory,
  crypto: CryptoSuite,
): Promise<ClientSecrets> {
  const seed = await state.keys.read(CLIENT_KEY);
  if (seed === undefined) return () => undefined;
  return (service) => clientSecret(crypto, seed, service);
}

/** Make `client.key` if there is none. @throws {ConfigError} `storage.key_*`. */
export async function makeClientSecrets(
  state: StateDirectory,
  { random }: Pick<Runtime, "random">,
): Promise<void> {
  if (await state.keys.read(CLIENT_KEY) !== undefined) return;
  await state.keys.create(CLIENT_KEY, random.bytes(X25519_BYTES));
}

/** Our X25519 secret for one service. */
export function clientSecret(
  crypto: CryptoSuite,
  seed: Uint8Array,
  service: PublicKey,
): Bytes {
  return crypto.hkdf(seed, service, CLIENT_INFO, X25519_BYTES);
}

/** A client's public key as people pass it on: 52 characters. */
export function formatClientKey(publicKey: Uint8Array): string {
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

/**
 * Our public key for one service, as its operator is given it.
 *
 * @throws {ConfigError} `service.address_*`, `storage.key_*`.
 */
export async function clientKeyFor(
  state: StateDirectory,
  host: string,
  { crypto, random }: Pick<Runtime, "crypto" | "random">,
): Promise<string> {
  const service = parseServiceHost(crypto, host);
  await makeClientSecrets(state, { random });
  const secret = (await loadClientSecrets(state, crypto))(service);
  if (secret === undefined) {
    throw new BugError("service.client", "No client key");
  }
  const publicKey = crypto.x25519Public(secret);
  secret.fill(0);
  return formatClientKey(publicKey);
}

/** The address of a service by its public key. */
export function serviceHostOf(
  crypto: CryptoSuite,
  publicKey: PublicKey,
): string {
  return formatServiceHost(crypto, publicKey);
}
