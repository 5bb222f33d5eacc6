/**
 * The secret in the path of a link. Who knows the address of a service and not the
 * secret finds nothing.
 *
 *     http://ADDRESS.anon/SECRET/report.pdf      the secret, 26 characters
 *     http://ADDRESS.anon/report.pdf             where the operator wants it public
 *
 * @module
 */
import { type Bytes, equalSecret, formatBase32, utf8 } from "../base/bytes.ts";

/** The beginning of all paths of a site. */
export class SecretPath {
  /** Begins and ends with a slash. */
  readonly prefix: string;
  readonly #word: Bytes;
  readonly #isPublic: boolean;

  /** @param secret Unless the site is for all who know the address. */
  constructor(secret: Bytes | undefined) {
    const word = secret === undefined ? "" : formatBase32(secret);
    this.prefix = word === "" ? "/" : `/${word}/`;
    this.#word = utf8(word);
    this.#isPublic = secret === undefined;
  }

  /**
   * What stands behind the prefix, its parts decoded; none for the site's own page.
   * `undefined` where the secret is wrong, or the path makes no sense.
   */
  partsOf(pathname: string): string[] | undefined {
    const parts = pathname.split("/").slice(1);
    if (!this.#isPublic) {
      const word = utf8((parts.shift() ?? "").toLowerCase());
      // As long for each wrong word, so that none is found letter by letter.
      if (!equalSecret(word, this.#word)) return undefined;
    }
    try {
      const decoded = parts.map(decodeURIComponent);
      if (decoded.at(-1) === "") decoded.pop();
      return decoded.some((part) => part === "") ? undefined : decoded;
    } catch {
      return undefined;
    }
  }
}
