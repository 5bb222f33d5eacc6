/**
 * The last net under the log: addresses that slipped into a text, mostly into
 * the messages of errors that are not ours.
 *
 * @module
 */
import { parseIp } from "../auth/socket_address.ts";
import { SCRUBBED } from "./log.ts";

/** Node and service addresses. */
const NAMES = /\banon:\/\/\S+|\b(?:[\w-]+\.)*[a-z2-7]{56}(?:\.anon)?\b/gi;
const IPV4 =
  /(?<![\w.])(?:[0-9]{1,3}\.){3}[0-9]{1,3}(?::[0-9]{1,5})?(?![\w.])/g;
/** Anything of colons and hexadecimal; {@linkcode parseIp} tells it from a time. */
const MAYBE_IPV6 = /\[?[0-9a-f]*:[0-9a-f]*:[0-9a-f:.]*\]?(?::[0-9]{1,5})?/gi;

/** `text` without the addresses in it. */
export function scrubText(text: string): string {
  return text
    .replace(NAMES, SCRUBBED)
    .replace(MAYBE_IPV6, (match) => {
      const host = match.startsWith("[")
        ? match.slice(1, match.lastIndexOf("]"))
        : match.replace(/[.:]$/, "");
      return parseIp(host) === undefined ? match : SCRUBBED;
    })
    .replace(IPV4, SCRUBBED);
}
