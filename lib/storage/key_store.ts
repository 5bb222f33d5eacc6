/**
 * Secret keys, one file each. What is here is never written twice: a key that
 * cannot be read stops the program, because a new key in its place would be a
 * new identity, and the old one is what others know.
 *
 * @see protocol §9.1 "State directory"
 * @module
 */
import { type Bytes, utf8 } from "../base/bytes.ts";
import { ConfigError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import { type CryptoSuite, ED25519_KEY_BYTES } from "../crypto/suite.ts";
import type { PrivateDirectory } from "./_private_directory.ts";
import type { FileFacts } from "./files.ts";
import { formatKey, MAX_KEY_FILE_BYTES, parseKey } from "./key_format.ts";
import { checkName } from "./_name.ts";

const SUFFIX = ".key";
const OTHERS = 0o077;

/** A key that was read, or made. */
export interface ObtainedKey {
  /** Its seed, 32 bytes. The caller overwrites it after use. */
  readonly seed: Bytes;
  /** Whether it was made just now. */
  readonly isNew: boolean;
}

/** The keys in a state directory. */
export class KeyStore {
  readonly #directory: PrivateDirectory;
  readonly #crypto: CryptoSuite;
  readonly #owner: number | undefined;

  /** @param owner Who we are, by number; `undefined` where users have none. */
  constructor(
    directory: PrivateDirectory,
    crypto: CryptoSuite,
    owner: number | undefined,
  ) {
    this.#directory = directory;
    this.#crypto = crypto;
    this.#owner = owner;
  }

  /**
   * The 32 bytes of a key's seed; `undefined` when there never was such a key.
   *
   * @param name Lower-case letters, digits and hyphens.
   * @throws {ConfigError} `storage.key_damaged`: torn, and set aside just now;
   * `storage.key_lost`: set aside by an earlier start and not put back;
   * `storage.key_mode`, `storage.key_owner`: others can read it, or own it;
   * `storage.key_version`: written by a later version; `storage.*` otherwise.
   */
  async read(name: string): Promise<Bytes | undefined> {
    const file = checkName(name) + SUFFIX;
    const path = this.#directory.pathOf(file);
    const facts = await this.#directory.facts(file);
    if (facts === undefined) {
      const copy = await this.#directory.corruptCopy(file);
      if (copy === undefined) return undefined;
      throw new ConfigError(
        "storage.key_lost",
        `Cannot read key "${path}": it was damaged and is now "${copy}"; ` +
          adviceOnDamage(path, copy),
      );
    }
    this.#checkFacts(path, facts);
    // Facts first: a file as long as the disk is not read to find it damaged.
    const bytes = facts.bytes > MAX_KEY_FILE_BYTES
      ? new Uint8Array(0)
      : await this.#directory.read(file) ?? new Uint8Array(0);
    const content = parseKey(
      this.#crypto,
      new TextDecoder("utf-8").decode(bytes),
    );
    bytes.fill(0);
    switch (content.type) {
      case "key":
        return content.seed;
      case "newer":
        throw new ConfigError(
          "storage.key_version",
          `Cannot read key "${path}": a later version of this program wrote ` +
            `it; use that version, or another state directory`,
        );
      case "damaged": {
        const copy = await this.#directory.setAside(file);
        throw new ConfigError(
          "storage.key_damaged",
          `Cannot read key "${path}": the file is damaged and was moved to ` +
            `"${copy}"; ${adviceOnDamage(path, copy)}`,
        );
      }
    }
  }

  /** The file of a key, whether there is one or not. */
  pathOf(name: string): string {
    return this.#directory.pathOf(checkName(name) + SUFFIX);
  }

  /**
   * The 32 bytes of a key's seed: read, or drawn and stored where there never was
   * such a key. A new one is durable before the caller sees it.
   *
   * @throws {ConfigError} `storage.key_*` when there is one that cannot be used: it
   * is never replaced by a new one; `storage.*` when the disk fails.
   */
  async readOrMake(name: string, random: Random): Promise<ObtainedKey> {
    const stored = await this.read(name);
    if (stored !== undefined) return { seed: stored, isNew: false };
    const seed = random.bytes(ED25519_KEY_BYTES);
    await this.create(name, seed);
    return { seed, isNew: true };
  }

  /**
   * Store a new key. Durable once it resolves.
   *
   * @throws {ConfigError} `storage.exists` when a key of that name is or was
   * there; `storage.*` otherwise.
   */
  async create(name: string, seed: Uint8Array): Promise<void> {
    const file = checkName(name) + SUFFIX;
    if (
      await this.#directory.facts(file) !== undefined ||
      await this.#directory.corruptCopy(file) !== undefined
    ) {
      throw new ConfigError(
        "storage.exists",
        `Cannot write key "${
          this.#directory.pathOf(file)
        }": there is one already, and keys are never overwritten`,
      );
    }
    await this.#directory.write(file, utf8(formatKey(this.#crypto, seed)));
  }

  #checkFacts(path: string, facts: FileFacts): void {
    const fail = (code: string, why: string) => {
      throw new ConfigError(code, `Cannot use key "${path}": ${why}`);
    };
    if (facts.kind !== "file") fail("storage.path", "it is not a file");
    if (facts.owner !== undefined && facts.owner !== this.#owner) {
      fail(
        "storage.key_owner",
        `it belongs to user ${facts.owner}, who may know it or change it; ` +
          `if that is right, run: chown ${this.#owner} ${shellQuoted(path)}`,
      );
    }
    if (facts.mode !== undefined && (facts.mode & OTHERS) !== 0) {
      fail(
        "storage.key_mode",
        `other users may read it (mode ${facts.mode.toString(8)}); run: ` +
          `chmod 600 ${shellQuoted(path)}`,
      );
    }
  }
}

function adviceOnDamage(path: string, copy: string): string {
  return `put a good copy in place as "${path}", or remove "${copy}" to go on ` +
    `with a new key`;
}

/** A path that can be pasted into a shell. */
export function shellQuoted(path: string): string {
  return /^[\w./+-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}
