/**
 * What a node remembers and could learn anew: guards, relay records, work. A
 * damaged file is set aside and reported, and the node goes on without it.
 *
 * @see protocol §9.1 "State directory"
 * @module
 */
import type { Bytes } from "../base/bytes.ts";
import { ConfigError } from "../base/errors.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import type { PrivateDirectory } from "./_private_directory.ts";
import { decodeBlob, encodeBlob } from "./blob_format.ts";
import { checkName } from "./_name.ts";

const SUFFIX = ".blob";

/** A file that was damaged, and where it is now. */
export interface SetAside {
  readonly path: string;
  readonly movedTo: string;
}

/** What became of a blob. */
export type StoredBlob =
  /** Nothing was written, or it was removed. */
  | { readonly type: "none" }
  | { readonly type: "whole"; readonly body: Bytes }
  /** It was set aside, and reported. */
  | { readonly type: "damaged" };

/** The blobs in a state directory. */
export class BlobStore {
  readonly #directory: PrivateDirectory;
  readonly #crypto: CryptoSuite;
  readonly #onSetAside: (event: SetAside) => void;

  constructor(
    directory: PrivateDirectory,
    crypto: CryptoSuite,
    onSetAside: (event: SetAside) => void,
  ) {
    this.#directory = directory;
    this.#crypto = crypto;
    this.#onSetAside = onSetAside;
  }

  /**
   * What was last written under `name`; `undefined` when nothing was, and also
   * when it was damaged, after it has been set aside and reported.
   *
   * @param name Lower-case letters, digits and hyphens.
   * @throws {ConfigError} `storage.blob_version` when a later version of this
   * program wrote it; `storage.*` when the disk fails.
   */
  async read(name: string): Promise<Bytes | undefined> {
    const stored = await this.recall(name);
    return stored.type === "whole" ? stored.body : undefined;
  }

  /** The same, for a reader who must know why there is nothing. */
  async recall(name: string): Promise<StoredBlob> {
    const file = checkName(name) + SUFFIX;
    const bytes = await this.#directory.read(file);
    if (bytes === undefined) return { type: "none" };
    const content = decodeBlob(this.#crypto, name, bytes);
    switch (content.type) {
      case "whole":
        return content;
      case "newer":
        throw new ConfigError(
          "storage.blob_version",
          `Cannot read "${this.#directory.pathOf(file)}": a later version of ` +
            `this program wrote it (format ${content.version}); use that ` +
            `version, or another state directory`,
        );
      case "damaged":
        await this.setAside(name);
        return content;
    }
  }

  /**
   * Store `body` under `name`, in place of what was there. Durable once it
   * resolves; when it rejects, what was there before still is.
   *
   * @throws {RangeError} when `body` is longer than `MAX_BLOB_BYTES`.
   * @throws {ConfigError} `storage.full` and others, when the disk fails.
   */
  async write(name: string, body: Uint8Array): Promise<void> {
    const file = checkName(name) + SUFFIX;
    await this.#directory.write(file, encodeBlob(this.#crypto, name, body));
  }

  /**
   * Move a blob out of the way and report it: for a reader whose blob is whole
   * but makes no sense.
   */
  async setAside(name: string): Promise<void> {
    const file = checkName(name) + SUFFIX;
    const movedTo = await this.#directory.setAside(file);
    this.#onSetAside({ path: this.#directory.pathOf(file), movedTo });
  }
}
