/**
 * Who may speak to the control port: programs that can read the cookie's file, or know
 * the password. One object for each connection.
 *
 *     PROTOCOLINFO 1                     once, for who does not know the ways
 *     AUTHENTICATE <cookie in hex>       COOKIE
 *     AUTHENTICATE "<password>"          HASHEDPASSWORD
 *     AUTHCHALLENGE SAFECOOKIE <nonce>   250 AUTHCHALLENGE SERVERHASH=… SERVERNONCE=…
 *     AUTHENTICATE <client hash>         SAFECOOKIE
 *
 *     server hash = HMAC("Tor safe cookie authentication server-to-controller hash",
 *                        cookie ‖ client nonce ‖ server nonce)
 *     client hash = HMAC("Tor safe cookie authentication controller-to-server hash", …)
 *
 * A wrong answer ends the connection. A challenge is for the very next command: its
 * answer is of no use again, here or on another connection.
 *
 * @see {@link https://spec.torproject.org/control-spec/commands.html#authchallenge | control-spec, 3.24}
 * @module
 */
import { type Bytes, equalSecret, utf8 } from "../base/bytes.ts";
import type { Random } from "../base/random.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import { parseHex, textBytes } from "./byte_text.ts";
import type { PasswordHash } from "./password_hash.ts";
import { quote, readQuoted } from "./quoted_text.ts";
import { lastReply, okReply, type Reply, reply } from "./reply.ts";

/** Bytes of the cookie. */
export const COOKIE_BYTES = 32;
const NONCE_BYTES = 32;
const SERVER_CONTEXT = utf8(
  "Tor safe cookie authentication server-to-controller hash",
);
const CLIENT_CONTEXT = utf8(
  "Tor safe cookie authentication controller-to-server hash",
);

/** What connections are let in by. */
export interface AuthenticationTerms {
  readonly cookie: Bytes;
  /** Where programs read the cookie: an absolute path. */
  readonly cookiePath: string;
  /** Passwords that are as good as the cookie. */
  readonly passwords: readonly PasswordHash[];
  /** Tor's version that is spoken for. */
  readonly version: string;
  readonly crypto: Pick<CryptoSuite, "hmac">;
  readonly random: Random;
}

/** One connection's way in. */
export class Authentication {
  readonly #terms: AuthenticationTerms;
  /** The answer to the challenge that was the last command. */
  #expected: Bytes | undefined;
  #isKnown = false;
  #hasAskedProtocol = false;

  constructor(terms: AuthenticationTerms) {
    this.#terms = terms;
  }

  /** Whether the program has shown who it is. */
  get isKnown(): boolean {
    return this.#isKnown;
  }

  /**
   * Take a command of a program that is not known yet, or one of these three.
   *
   * @returns `undefined` for a command that is for others to answer.
   */
  take(keyword: string, rest: string): Reply | undefined {
    const expected = this.#expected;
    this.#expected = undefined;
    switch (keyword) {
      case "AUTHENTICATE":
        return this.#authenticate(rest, expected);
      case "AUTHCHALLENGE":
        if (expected !== undefined) return strangerReply();
        return this.#challenge(rest);
      case "PROTOCOLINFO":
        if (this.#isKnown) return this.#protocolInfo(rest);
        if (this.#hasAskedProtocol || expected !== undefined) {
          return strangerReply();
        }
        this.#hasAskedProtocol = true;
        return this.#protocolInfo(rest);
      case "QUIT":
        return undefined;
      default:
        return this.#isKnown ? undefined : strangerReply();
    }
  }

  #protocolInfo(rest: string): Reply {
    const versions = rest.split(/\s+/).filter((word) => word !== "");
    const bad = versions.find((word) => !/^[0-9]+$/.test(word));
    if (bad !== undefined) {
      return lastReply(513, `No such version ${quote(bad)}`);
    }
    const { cookiePath, passwords, version } = this.#terms;
    const methods = ["COOKIE", "SAFECOOKIE"];
    if (passwords.length > 0) methods.push("HASHEDPASSWORD");
    return okReply(
      { text: "PROTOCOLINFO 1" },
      {
        text: `AUTH METHODS=${methods.join(",")} COOKIEFILE=${
          quote(cookiePath)
        }`,
      },
      { text: `VERSION Tor=${quote(version)}` },
    );
  }

  #challenge(rest: string): Reply {
    const [kind = "", nonceText] = rest.split(/\s+/);
    if (kind === "") {
      return lastReply(512, "AUTHCHALLENGE wants SAFECOOKIE and a nonce");
    }
    if (kind.toUpperCase() !== "SAFECOOKIE") {
      return lastReply(
        513,
        "AUTHCHALLENGE only supports SAFECOOKIE authentication",
      );
    }
    if (nonceText === undefined) {
      return lastReply(512, "Wrong number of arguments for AUTHCHALLENGE");
    }
    const quoted = readQuoted(rest.slice(rest.indexOf(nonceText)));
    const nonce = quoted === undefined
      ? parseHex(nonceText)
      : textBytes(quoted.text);
    if (nonce === undefined || nonce.length === 0) {
      return lastReply(513, "Invalid base16 client nonce");
    }
    const { cookie, crypto, random } = this.#terms;
    const serverNonce = random.bytes(NONCE_BYTES);
    const hash = (context: Bytes) =>
      crypto.hmac(context, cookie, nonce, serverNonce);
    this.#expected = hash(CLIENT_CONTEXT);
    const serverHash = hash(SERVER_CONTEXT).toHex().toUpperCase();
    return reply(
      250,
      `AUTHCHALLENGE SERVERHASH=${serverHash} ` +
        `SERVERNONCE=${serverNonce.toHex().toUpperCase()}`,
    );
  }

  #authenticate(rest: string, expected: Bytes | undefined): Reply {
    this.#isKnown = false;
    const quoted = readQuoted(rest);
    if (rest.startsWith('"') && quoted?.length !== rest.length) {
      return lastReply(512, "Cannot read the quoted string of AUTHENTICATE");
    }
    const given = quoted === undefined
      ? parseHex(rest)
      : textBytes(quoted.text);
    if (given === undefined) {
      return lastReply(
        551,
        "Invalid hexadecimal encoding.  Maybe you tried a plain text password?  " +
          "If so, the standard requires that you put it in double quotes.",
      );
    }
    if (expected !== undefined) {
      if (!equalSecret(given, expected)) {
        return refused("Safe cookie response did not match expected value.");
      }
    } else if (!this.#isSecret(given)) {
      return refused(this.#whyNot(given));
    }
    this.#isKnown = true;
    return okReply();
  }

  #isSecret(given: Bytes): boolean {
    const { cookie, passwords } = this.#terms;
    // All of them and always, so that time tells nothing of which was nearly right.
    let isRight = equalSecret(given, cookie);
    for (const password of passwords) {
      isRight = password.isOf(given) || isRight;
    }
    return isRight;
  }

  #whyNot(given: Bytes): string {
    if (this.#terms.passwords.length > 0) {
      return "Password did not match HashedControlPassword *or* authentication cookie.";
    }
    return given.length === COOKIE_BYTES
      ? "Authentication cookie did not match expected value."
      : "Wrong length on authentication cookie.";
  }
}

function refused(why: string): Reply {
  return lastReply(515, `Authentication failed: ${why}`);
}

function strangerReply(): Reply {
  return lastReply(514, "Authentication required.");
}
