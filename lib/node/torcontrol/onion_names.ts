/**
 * What programs at Tor's control port call a service: 56 characters, which they put
 * `.onion` behind. With the alias these are Tor's form of its key; without it they are
 * those of its `.anon` address, and `.onion` behind them leads nowhere.
 *
 * @module
 */
import type { PublicKey } from "../../auth/identity.ts";
import { ConfigError } from "../../base/errors.ts";
import type { CryptoSuite } from "../../crypto/suite.ts";
import { formatServiceHost, parseServiceHost } from "../../service/address.ts";
import {
  formatOnionLabel,
  parseOnionLabel,
} from "../../torcontrol/onion_alias.ts";

const SUFFIX = ".anon";

/** Names of services. */
export class OnionNames {
  readonly #crypto: CryptoSuite;
  readonly #form: "alias" | "anon";

  constructor(crypto: CryptoSuite, form: "alias" | "anon") {
    this.#crypto = crypto;
    this.#form = form;
  }

  /** The name of a key. */
  nameOf(service: PublicKey): string {
    return this.#form === "alias"
      ? formatOnionLabel(service)
      : formatServiceHost(this.#crypto, service).slice(0, -SUFFIX.length);
  }

  /** The name of a host under `.anon`. */
  nameOfHost(host: string): string {
    return this.nameOf(parseServiceHost(this.#crypto, host));
  }

  /** The key of a name; `undefined` for what is none. Both forms are read. */
  keyOf(name: string): PublicKey | undefined {
    try {
      return parseOnionLabel(name) ??
        parseServiceHost(this.#crypto, name + SUFFIX);
    } catch (error) {
      if (error instanceof ConfigError) return undefined;
      throw error;
    }
  }
}
