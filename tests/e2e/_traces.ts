/**
 * Traces of a service in what a node keeps and says: its public key and its
 * address, in each way in which a program may have written them.
 *
 * @module
 */
import { utf8 } from "../../lib/base/bytes.ts";
import { nobleSuite } from "../../lib/crypto/noble.ts";
import { parseServiceHost } from "../../lib/service/address.ts";

/** Letters of an address that are made of nothing but the key. */
const KEY_LETTERS = 51;

/** What to look for. */
export interface Trace {
  readonly name: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** All traces of the service of this host, `….anon`. */
export function tracesOf(host: string): Trace[] {
  const letters = host.slice(0, -".anon".length);
  const key = parseServiceHost(nobleSuite(), host);
  const text = (name: string, text: string) => ({ name, bytes: utf8(text) });
  return [
    { name: "key, as bytes", bytes: key.slice() },
    text("key, in base32", letters.slice(0, KEY_LETTERS)),
    text("key, in BASE32", letters.slice(0, KEY_LETTERS).toUpperCase()),
    text("key, in hex", key.toHex()),
    text("key, in HEX", key.toHex().toUpperCase()),
    // The last letter of 32 bytes holds bits of padding.
    text("key, in base64", key.toBase64().slice(0, 42)),
    text(
      "key, in base64url",
      key.toBase64({ alphabet: "base64url" })
        .slice(0, 42),
    ),
    text("key, as a list of numbers", [...key].join(",")),
    text("the start of the address", letters.slice(0, 16)),
  ];
}

/** Where to look. */
export interface Places {
  /** All files in it, however deep. */
  readonly folder: string;
  readonly log: string;
}

/** Which traces are where. */
export async function findTraces(
  traces: readonly Trace[],
  { folder, log }: Places,
): Promise<string[]> {
  const places: [string, Uint8Array][] = [["the log", utf8(log)]];
  for await (const file of filesIn(folder)) {
    places.push([file, await Deno.readFile(file)]);
  }
  return places.flatMap(([place, bytes]) =>
    traces.filter((trace) => contains(bytes, trace.bytes))
      .map(({ name }) => `${name} in ${place}`)
  );
}

async function* filesIn(folder: string): AsyncGenerator<string> {
  for await (const { name, isDirectory, isFile } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    if (isDirectory) yield* filesIn(path);
    else if (isFile) yield path;
  }
}

function contains(bytes: Uint8Array, sought: Uint8Array): boolean {
  const [first = 0] = sought;
  let at = bytes.indexOf(first);
  while (at >= 0 && at + sought.length <= bytes.length) {
    if (sought.every((byte, i) => bytes[at + i] === byte)) return true;
    at = bytes.indexOf(first, at + 1);
  }
  return false;
}
