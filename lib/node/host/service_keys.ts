/**
 * What services and their clients keep in the state directory.
 *
 *     service-<name>.key    the service's Ed25519 seed: its address
 *     service-<name>.blob   { revisions: [{ period, revision }, …], restricted? }: the
 *                           highest revision of its descriptors in each period of late,
 *                           and whether only some clients may find it
 *     client.key            a seed, from which a key follows for each service that
 *                           wants to know its clients: no two services see the same
 *
 *     client key = HKDF(seed, service key, "anonnet v1 client key", 64)
 *                = X25519 secret(32) ‖ shared(32)      the service gets X25519 public ‖ shared
 *
 * A service that only some could find opens to all when its operator says so, and not
 * when the operator forgets to name its clients.
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
import {
  CLIENT_KEY_BYTES,
  clientPublicKey,
  clientSecretOfHalf,
  MAX_CLIENTS,
} from "../../service/client_authorisation.ts";
import type { StateDirectory } from "../../storage/state_directory.ts";
import { encodeCbor } from "../../wire/cbor.ts";
import { decodeFields, type Fields } from "../../wire/fields.ts";
import type { Runtime } from "../../machine/runtime.ts";
import type { Revisions } from "../../service/publication.ts";
import type { TimePeriod } from "../../service/time_period.ts";
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
    log.info("Made the key of a service; keep a copy of its file", {
      name,
      file: state.keys.pathOf(file),
    });
  }
  return identity;
}

/** Who may find a service. */
export interface ServiceAudience {
  /** What its operator calls it. */
  readonly name: string;
  /** Keys of those who may. Default: every client that knows the address. */
  readonly clients?: readonly Bytes[] | undefined;
  /** Whether its operator wants it open to all, also where it was not. Default: no. */
  readonly isPublic?: boolean | undefined;
}

/**
 * Refuse an audience that contradicts itself.
 *
 * @throws {ConfigError} `service.audience`.
 */
export function checkAudience(
  { name, clients, isPublic = false }: ServiceAudience,
): void {
  if (clients?.length === 0) {
    throw new ConfigError(
      "service.audience",
      `Cannot start service "${name}" for no client at all: name one, or leave ` +
        `the list of clients out, and every client finds it`,
    );
  }
  if (clients !== undefined && clients.length > MAX_CLIENTS) {
    throw new ConfigError(
      "service.audience",
      `Cannot start service "${name}" for ${clients.length} clients: it can have ` +
        `${MAX_CLIENTS} at most`,
    );
  }
  if (clients !== undefined && isPublic) {
    throw new ConfigError(
      "service.audience",
      `Cannot start service "${name}": it cannot be open to all and to some ` +
        `clients alone; give --public or --authorise (clients or public)`,
    );
  }
}

/** Periods whose highest revision is kept, those of late. */
const KEPT_PERIODS = 4;

interface Stored {
  readonly revisions: Revisions;
  readonly isRestricted: boolean;
}

/** The memory of one service. */
export class ServiceMemory implements RevisionStore {
  readonly #state: StateDirectory;
  readonly #name: string;
  #stored: Stored;

  private constructor(state: StateDirectory, name: string, stored: Stored) {
    this.#state = state;
    this.#name = name;
    this.#stored = stored;
  }

  /** Read what there is. @throws {ConfigError} `service.name`, `storage.*`. */
  static async load(
    state: StateDirectory,
    name: string,
  ): Promise<ServiceMemory> {
    return new ServiceMemory(state, name, await readStored(state, name));
  }

  read(): Promise<Revisions> {
    return Promise.resolve(this.#stored.revisions);
  }

  async write(period: TimePeriod, revision: number): Promise<void> {
    const revisions = [...this.#stored.revisions]
      .filter(([other]) => other !== period)
      .slice(1 - KEPT_PERIODS);
    await this.#store({
      ...this.#stored,
      revisions: new Map([...revisions, [period, revision]]),
    });
  }

  /**
   * Refuse an audience that opens the service by mistake.
   *
   * @throws {ConfigError} `service.restricted`, `service.audience`.
   */
  check(audience: ServiceAudience): void {
    checkAudience(audience);
    const { name, clients, isPublic = false } = audience;
    if (clients !== undefined || isPublic || !this.#stored.isRestricted) return;
    throw new ConfigError(
      "service.restricted",
      `Cannot start service "${name}": only some clients could find it until now, ` +
        `and every client could from now on; name its clients again with ` +
        `--authorise (clients), or open it to all with --public (public)`,
    );
  }

  /** Check an audience, and remember it before any client hears of the service. */
  async take(audience: ServiceAudience): Promise<void> {
    this.check(audience);
    const isRestricted = audience.clients !== undefined;
    if (isRestricted === this.#stored.isRestricted) return;
    await this.#store({ ...this.#stored, isRestricted });
  }

  async #store({ revisions, isRestricted }: Stored): Promise<void> {
    await this.#state.blobs.write(
      serviceFileName(this.#name),
      encodeCbor({
        revisions: Array.from(
          revisions,
          ([period, revision]) => ({ period, revision }),
        ),
        ...isRestricted && { restricted: true },
      }),
    );
    this.#stored = { revisions, isRestricted };
  }
}

async function readStored(
  { blobs }: StateDirectory,
  name: string,
): Promise<Stored> {
  const file = serviceFileName(name);
  const stored = await blobs.read(file);
  if (stored !== undefined) {
    try {
      const fields = decodeFields(stored, "service blob");
      const revisions = readRevisions(fields);
      const isRestricted = fields.has("restricted") &&
        fields.boolean("restricted");
      fields.finish();
      return { revisions, isRestricted };
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      await blobs.setAside(file);
    }
  }
  return { revisions: new Map(), isRestricted: false };
}

function readRevisions(fields: Fields): Revisions {
  // Before revisions were of a period: one of the clock, below all that there are now.
  if (fields.has("revision")) {
    fields.uint("revision");
    return new Map();
  }
  return new Map(
    fields.mapArray("revisions", KEPT_PERIODS).map((entry) => {
      const read = [entry.uint("period"), entry.uint("revision")] as const;
      entry.finish();
      return read;
    }),
  );
}

/** A client's key as people pass it on: 103 characters. */
function formatClientKey(publicKey: Uint8Array): string {
  return formatBase32(publicKey);
}

/** Characters of a key without a shared secret, as earlier versions had it. */
const OLD_KEY_CHARACTERS = 52;

/** @throws {ConfigError} `service.client_key`. */
export function parseClientKey(text: string): Bytes {
  const word = text.trim();
  const bytes = parseBase32(word);
  if (word.length === OLD_KEY_CHARACTERS && bytes !== undefined) {
    throw new ConfigError(
      "service.client_key",
      "Cannot use client key: it is of an earlier version, without the secret that " +
        "the client shares with the service; ask the client for what " +
        '"anonnet client-key" prints now',
    );
  }
  const isKey = bytes?.length === CLIENT_KEY_BYTES &&
    [bytes.subarray(0, X25519_BYTES), bytes.subarray(X25519_BYTES)]
      .every((half) => half.some((byte) => byte !== 0));
  if (!isKey) {
    throw new ConfigError(
      "service.client_key",
      "Cannot read client key: it has 103 letters and digits 2 to 7",
    );
  }
  return bytes;
}

/** Keys that programs gave, of all services: against one that never ends giving. */
const MAX_GIVEN_KEYS = 1_024;

/** A key of a program made for Tor: an X25519 pair alone. */
export interface GivenKey {
  readonly service: PublicKey;
  /** 32 bytes. */
  readonly secret: Bytes;
}

/** Our keys for services that let only some find them; made when first asked for. */
export class ClientKeys {
  readonly #state: StateDirectory;
  readonly #runtime: Pick<Runtime, "crypto" | "random">;
  #seed: Bytes | undefined;
  readonly #given = new Map<string, GivenKey>();

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

  /** Whether there is a `client.key`, as far as it was read or made. */
  get isMade(): boolean {
    return this.#seed !== undefined;
  }

  /** X25519 secrets that programs gave, by the service that they are for. */
  get given(): readonly GivenKey[] {
    return [...this.#given.values()];
  }

  /**
   * Keep an X25519 secret for a service, until it is taken back or the node stops.
   *
   * @returns Whether there was none for it.
   * @throws {ConfigError} `service.too_many_keys`.
   */
  give(key: GivenKey): boolean {
    const name = formatBase32(key.service);
    const isNew = !this.#given.has(name);
    if (isNew && this.#given.size >= MAX_GIVEN_KEYS) {
      throw new ConfigError(
        "service.too_many_keys",
        `Cannot keep a key for another service: there are ${MAX_GIVEN_KEYS}; ` +
          `remove one first`,
      );
    }
    this.#given.set(name, key);
    return isNew;
  }

  /** Forget what was given for a service. @returns Whether there was something. */
  takeBack(service: PublicKey): boolean {
    return this.#given.delete(formatBase32(service));
  }

  /**
   * The key that we keep for a service: what a program gave, or our own; `undefined`
   * where there is neither.
   */
  secret(service: PublicKey): Bytes | undefined {
    const given = this.#given.get(formatBase32(service));
    if (given !== undefined) {
      return clientSecretOfHalf(this.#runtime.crypto, given.secret, service);
    }
    return this.#seed === undefined
      ? undefined
      : clientSecret(this.#runtime.crypto, this.#seed, service);
  }

  /**
   * Our key for one service, as its operator is given it; `client.key` is
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
    const publicKey = clientPublicKey(crypto, secret);
    secret.fill(0);
    return formatClientKey(publicKey);
  }
}

function clientSecret(
  crypto: CryptoSuite,
  seed: Uint8Array,
  service: PublicKey,
): Bytes {
  return crypto.hkdf(seed, service, CLIENT_INFO, CLIENT_KEY_BYTES);
}

/** The address of a service by its public key. */
export function serviceHostOf(
  crypto: CryptoSuite,
  publicKey: PublicKey,
): string {
  return formatServiceHost(crypto, publicKey);
}
