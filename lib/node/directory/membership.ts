/**
 * Of which network a state directory is, and what its node knows of that network:
 *
 *     network.blob      {name}: that of the node that first started on it
 *     membership.blob   {name, first, work, private, key, invites}: see below
 *     network.key       the network's key, where this node holds it
 *
 * A network other than the built-in ones has its parameters from an invite, or from
 * the command that made it. The key of the first invite is the network's from then
 * on: an invite by another key is refused, whatever it says.
 *
 * @see protocol §9.1 "State directory", §9.6 "Invites"
 * @module
 */
import { asPublicKey, Identity, type PublicKey } from "../../auth/identity.ts";
import {
  checkLapse,
  decodeInvite,
  type Invite,
  networkFingerprint,
} from "../../auth/invite.ts";
import {
  customNetwork,
  type NetworkParameters,
  networkParameters,
  type NetworkTraits,
  sameTraits,
  wellKnownNetwork,
} from "../../auth/network.ts";
import {
  formatNodeAddress,
  type NodeAddress,
} from "../../auth/node_address.ts";
import { equalBytes } from "../../base/bytes.ts";
import { ConfigError, ProtocolError } from "../../base/errors.ts";
import type { CryptoSuite } from "../../crypto/suite.ts";
import type { Runtime } from "../../machine/runtime.ts";
import type { StateDirectory } from "../../storage/state_directory.ts";
import { encodeCbor } from "../../wire/cbor.ts";
import { decodeFields, type Fields } from "../../wire/fields.ts";

const NETWORK_BLOB = "network";
const MEMBERSHIP_BLOB = "membership";
/** Name of the network's key in the state directory. */
const NETWORK_KEY = "network";

/** Longest name of a network, in bytes. */
const MAX_NAME_BYTES = 32;
/** Invites that are remembered, the newest first: an older one leaves. */
export const MAX_KEPT_INVITES = 4;
const MAX_INVITE_BYTES = 1024;
const MAX_DIFFICULTY = 32;
/** The network of a directory that says none, where the operator says none. */
const DEFAULT_NETWORK = "main";

/** What the operator says of the network. */
export interface MembershipWish {
  /** Default: that of the state directory, or of the invites, or `main`. */
  readonly network?: NetworkParameters | undefined;
  /** Invites to take. */
  readonly invites?: readonly Invite[] | undefined;
}

/** What `membership.blob` holds. */
interface Stored {
  /** Parameters of a network that is not built in. */
  traits?: NetworkTraits;
  /** The network's key, once it is known. */
  key?: PublicKey;
  /** Whether this node was the first of its network. */
  isFirst: boolean;
  invites: readonly Invite[];
}

/** What a node knows of its network, and may do for it. */
export class Membership {
  readonly network: NetworkParameters;
  readonly #state: StateDirectory;
  readonly #crypto: CryptoSuite;
  readonly #stored: Stored;
  /** Whether the directory belonged to no network before. */
  readonly #isNew: boolean;
  #isChanged = false;
  #isKeyNew = false;

  private constructor(
    state: StateDirectory,
    crypto: CryptoSuite,
    network: NetworkParameters,
    stored: Stored,
    isNew: boolean,
  ) {
    this.network = network;
    this.#state = state;
    this.#crypto = crypto;
    this.#stored = stored;
    this.#isNew = isNew;
  }

  /**
   * See whether a node may take part as its operator says. Nothing is written before
   * {@linkcode claim}.
   *
   * @throws {ConfigError} `storage.network`, `storage.network_terms`: the directory
   * is of another network; `auth.invite_network`, `auth.invite_terms`,
   * `auth.invite_other_key`, `auth.invite_lapsed`; `storage.*`.
   */
  static async open(
    state: StateDirectory,
    wish: MembershipWish,
    { crypto, clock }: Pick<Runtime, "crypto" | "clock">,
  ): Promise<Membership> {
    const name = await readBlob(
      state,
      NETWORK_BLOB,
      (fields) => fields.text("name", MAX_NAME_BYTES),
    );
    const found = await readBlob(
      state,
      MEMBERSHIP_BLOB,
      (fields) => takeStored(crypto, fields),
    );
    const invites = wish.invites ?? [];
    const wished = wish.network ?? invites[0]?.network;
    const network = name === undefined
      ? wished ?? networkOf(found?.traits) ?? networkParameters(DEFAULT_NETWORK)
      : storedNetwork(state, name, found, wish.network, wished);
    const isNew = name === undefined;
    // Of another network where `network.blob` was lost: it says nothing of this one.
    const stored = found?.traits?.name === network.name
      ? found
      : { isFirst: false, invites: [] };
    const membership = new Membership(state, crypto, network, stored, isNew);
    for (const invite of invites) membership.#take(invite, clock.unixMs());
    return membership;
  }

  /** The network's key, once it is known. */
  get networkKey(): PublicKey | undefined {
    return this.#stored.key;
  }

  /** Whether it was not known before these invites. */
  get isKeyNew(): boolean {
    return this.#isKeyNew;
  }

  /** Whether this node was the first of its network, and may make the key. */
  get isFirst(): boolean {
    return this.#stored.isFirst;
  }

  /** Invites that were taken, the newest first. Some may have lapsed since. */
  get invites(): readonly Invite[] {
    return this.#stored.invites;
  }

  /** Relays of all invites, each once: to join by, beside all others that are known. */
  get relays(): readonly NodeAddress[] {
    const relays = this.invites.flatMap(({ relays }) => relays);
    return [
      ...new Map(relays.map((relay) => [formatNodeAddress(relay), relay]))
        .values(),
    ];
  }

  /**
   * Take the directory for the network, and write down what is new.
   *
   * @param options.isFirst Whether the node begins a network: it is told of no other.
   * @throws {ConfigError} `storage.*`.
   */
  async claim({ isFirst }: { readonly isFirst: boolean }): Promise<void> {
    const { name } = this.network;
    const { blobs } = this.#state;
    if (this.#isNew) await blobs.write(NETWORK_BLOB, encodeCbor({ name }));
    const isFound = this.#isNew && isFirst;
    const hasTerms = this.#stored.traits !== undefined ||
      wellKnownNetwork(name) !== undefined;
    if (!this.#isChanged && !isFound && hasTerms) return;
    this.#stored.isFirst ||= isFound;
    await this.#write();
  }

  /**
   * The network's key pair, where this node holds it. Dispose of it after use.
   *
   * @throws {ConfigError} `storage.network_key` when it is of another network.
   */
  async identity(): Promise<Identity | undefined> {
    const seed = await this.#state.keys.read(NETWORK_KEY);
    if (seed === undefined) return undefined;
    const identity = new Identity(this.#crypto, seed);
    seed.fill(0);
    await this.#pin(identity);
    return identity;
  }

  /**
   * Make the network's key, if it has none that this node knows of.
   *
   * @throws {ConfigError} `storage.network_key` when it has one.
   */
  async makeIdentity({ random }: Pick<Runtime, "random">): Promise<Identity> {
    const { key } = this.#stored;
    if (key !== undefined) {
      throw new ConfigError(
        "storage.network_key",
        `Cannot make a key for network "${this.network.name}": it has one, ` +
          `${networkFingerprint(key)}`,
      );
    }
    const identity = Identity.generate(this.#crypto, random);
    const seed = identity.exportSeed();
    await this.#state.keys.create(NETWORK_KEY, seed);
    seed.fill(0);
    await this.#pin(identity);
    return identity;
  }

  /** Path of the network's key file. */
  get keyPath(): string {
    return this.#state.keys.pathOf(NETWORK_KEY);
  }

  /** Take an invite, or see that it is there already. */
  #take(invite: Invite, unixMs: number): void {
    const { network } = this;
    const stored = this.#stored;
    checkForeign(network, stored.key, invite);
    const isKnown = stored.invites.some(({ encoded }) =>
      equalBytes(encoded, invite.encoded)
    );
    if (isKnown) return;
    checkLapse(invite, unixMs);
    this.#isKeyNew ||= stored.key === undefined;
    this.#isChanged = true;
    stored.key = invite.networkKey;
    stored.invites = [invite, ...stored.invites].slice(0, MAX_KEPT_INVITES);
  }

  async #pin({ publicKey }: Identity): Promise<void> {
    const { key } = this.#stored;
    if (key === undefined) {
      this.#stored.key = publicKey;
      return await this.#write();
    }
    if (equalBytes(key, publicKey)) return;
    throw new ConfigError(
      "storage.network_key",
      `Cannot use key "${this.keyPath}": it is ${
        networkFingerprint(publicKey)
      }, and network "${this.network.name}" has the key ${
        networkFingerprint(key)
      }; put the right one there, or take this one away`,
    );
  }

  async #write(): Promise<void> {
    const { isFirst: first, key, invites } = this.#stored;
    const { name, powDifficulty: work, allowPrivateAddresses } = this.network;
    await this.#state.blobs.write(
      MEMBERSHIP_BLOB,
      encodeCbor({
        name,
        first,
        work,
        private: allowPrivateAddresses,
        key,
        invites: invites.map(({ encoded }) => encoded),
      }),
    );
    this.#stored.traits = this.network;
    this.#isChanged = false;
  }
}

/** The network of a directory that says which it is. */
function storedNetwork(
  { path }: StateDirectory,
  name: string,
  found: Stored | undefined,
  told: NetworkParameters | undefined,
  wished: NetworkParameters | undefined,
): NetworkParameters {
  if (told !== undefined && told.name !== name) {
    throw new ConfigError(
      "storage.network",
      `Cannot use state directory "${path}": it is of network ` +
        `"${name}", and not of "${told.name}"; ${
          wellKnownNetwork(name) === undefined
            ? "leave --network out"
            : `add --network ${name}`
        }, or name another with --state`,
    );
  }
  const traits = found?.traits?.name === name ? found.traits : undefined;
  const known = wellKnownNetwork(name) ?? networkOf(traits);
  if (told !== undefined && known !== undefined && !sameTraits(told, known)) {
    throw new ConfigError(
      "storage.network_terms",
      `Cannot use state directory "${path}": network "${name}" has other ` +
        "parameters there; name another directory with --state",
    );
  }
  // A directory that has lost them, or never had them, takes those of an invite.
  const same = wished?.name === name ? wished : undefined;
  const network = known ?? told ?? same;
  if (network !== undefined) return network;
  throw new ConfigError(
    "storage.network_terms",
    `Cannot use state directory "${path}": it does not say what the ` +
      `parameters of network "${name}" are; give an invite to it, with anonnet join`,
  );
}

/** Refuse an invite to another network, or by another key. */
function checkForeign(
  network: NetworkParameters,
  known: PublicKey | undefined,
  { network: other, networkKey: key }: Invite,
): void {
  const { name } = network;
  if (other.name !== name) {
    throw new ConfigError(
      "auth.invite_network",
      `Cannot use the invite: it is for network "${other.name}", and this node is ` +
        `in "${name}"; give it a state directory of its own with --state, and no ` +
        "other --network",
    );
  }
  if (known !== undefined && !equalBytes(known, key)) {
    throw new ConfigError(
      "auth.invite_other_key",
      `Cannot use the invite: it is signed by ${
        networkFingerprint(key)
      }, and ` +
        `network "${name}" has the key ${
          networkFingerprint(known)
        } as this node ` +
        "knows it. It is for another network of that name, or forged: ask who gave " +
        "it to you, and to join the other network use another --state",
    );
  }
  if (!sameTraits(other, network)) {
    throw new ConfigError(
      "auth.invite_terms",
      `Cannot use the invite: network "${name}" has other parameters in it than ` +
        "this node knows; ask who gave it to you, or use another --state",
    );
  }
}

function networkOf(
  traits: NetworkTraits | undefined,
): NetworkParameters | undefined {
  if (traits === undefined) return undefined;
  return wellKnownNetwork(traits.name) ?? customNetwork(traits);
}

function takeStored(crypto: CryptoSuite, fields: Fields): Stored {
  const isFirst = fields.boolean("first");
  const traits = {
    name: fields.text("name", MAX_NAME_BYTES),
    powDifficulty: fields.uint("work", MAX_DIFFICULTY),
    allowPrivateAddresses: fields.boolean("private"),
  };
  const key = fields.has("key")
    ? asPublicKey(fields.bytes("key", { length: 32 }))
    : undefined;
  const invites = fields.bytesArray("invites", MAX_KEPT_INVITES, {
    max: MAX_INVITE_BYTES,
  }).map((bytes) => decodeInvite(crypto, bytes));
  return { traits, isFirst, invites, ...key && { key } };
}

/** What a blob says; one that makes no sense is set aside as a torn one is. */
async function readBlob<T>(
  state: StateDirectory,
  name: string,
  take: (fields: Fields) => T,
): Promise<T | undefined> {
  const body = await state.blobs.read(name);
  if (body === undefined) return undefined;
  try {
    const fields = decodeFields(body, `${name} blob`);
    const value = take(fields);
    fields.finish();
    return value;
  } catch (error) {
    const isNonsense = error instanceof ProtocolError ||
      error instanceof ConfigError;
    if (!isNonsense) throw error;
    await state.blobs.setAside(name);
    return undefined;
  }
}
