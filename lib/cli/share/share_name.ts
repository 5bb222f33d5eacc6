/**
 * What a share is called in the state directory where its operator does not say: the
 * same files have the same name, and with it the same address, after every restart.
 * Other files have another one, so that nothing ties one share to the next.
 *
 * @module
 */
import { formatBase32, utf8 } from "../../base/bytes.ts";
import { ConfigError } from "../../base/errors.ts";
import { serviceFileName } from "../../node/host/service_keys.ts";
import { DigestSum } from "../../share/file_digest.ts";
import { optionalFlag } from "../flags/flag.ts";

/** Bytes of the digest in a name: 16 characters. */
const NAME_BYTES = 10;

/** Longest title, in characters. */
const MAX_TITLE = 100;

/** What to call the service. */
export const siteNameFlag = optionalFlag(
  "NAME",
  "what to call it on this machine: the same name has the same address and secret; " +
    "follows from the paths, if not given",
  (text) => {
    serviceFileName(text);
    return text;
  },
);

/** The name that follows from paths without links. */
export function siteNameOf(
  kind: "share" | "receive",
  paths: readonly string[],
): string {
  const sum = new DigestSum();
  for (const path of [...paths].sort()) sum.add(utf8(`${path}\0`));
  return `${kind}-${formatBase32(sum.digest.subarray(0, NAME_BYTES))}`;
}

/** The blob that keeps what is needed to be the same after a restart. */
export function siteBlobOf(name: string): string {
  return `site-${name}`;
}

/** What a page is called. @throws {ConfigError} `cli.title`. */
export function parseTitle(text: string): string {
  const title = text.trim();
  if (title !== "" && [...title].length <= MAX_TITLE) return title;
  throw new ConfigError(
    "cli.title",
    `it is empty, or has more than ${MAX_TITLE} characters`,
  );
}
