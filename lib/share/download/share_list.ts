/**
 * The list of a share, as its visitors read it. It was written by a stranger: names
 * are cleaned, and links lead to the share itself or are refused.
 *
 * @see protocol §9.7 "Sharing files"
 * @module
 */
import type { Bytes } from "../../base/bytes.ts";
import { deadline } from "../../base/clock.ts";
import { ProtocolError, UnreachableError } from "../../base/errors.ts";
import { STALL_MS } from "./download.ts";
import { DIGEST_BYTES } from "../file_digest.ts";
import { cleanPath, numberedName } from "../file_name.ts";
import {
  type Fetch,
  Patience,
  type PatienceOptions,
  refusal,
} from "./patience.ts";
import { LIST_TYPE } from "../share_page.ts";
import { MAX_FILES } from "../share_tree.ts";

/** Longest list, bytes: of 10,000 files with long names. */
const MAX_LIST_BYTES = 16 * 1024 * 1024;

/** A file of a list. */
export interface ListedFile {
  /** Parts of its path, fit for a disk; no two files have the same. */
  readonly name: readonly string[];
  readonly bytes: number;
  readonly digest: Bytes;
  readonly url: URL;
}

/** What asking for a list takes. */
export interface ListOptions extends PatienceOptions {
  readonly fetch: Fetch;
  readonly url: URL;
}

/**
 * The list at an address; `undefined` where there is something else.
 *
 * @throws {ProtocolError} `get.list`; {@linkcode UnreachableError} `get.*`.
 */
export async function fetchList(
  options: ListOptions,
  { signal }: { readonly signal: AbortSignal },
): Promise<ListedFile[] | undefined> {
  const patience = new Patience(options);
  const { fetch, url, clock } = options;
  const headers = new Headers({ accept: `${LIST_TYPE}, */*;q=0.5` });
  for (;;) {
    try {
      using limit = deadline(clock, STALL_MS, tooSlow, signal);
      const response = await fetch(url, { headers, signal: limit.signal });
      try {
        if (response.status !== 200) throw refusal(response);
        const type = response.headers.get("content-type") ?? "";
        if (type.split(";")[0]?.trim() !== LIST_TYPE) return undefined;
        return parseList(await textOf(response), url);
      } finally {
        await response.body?.cancel().catch(() => {});
      }
    } catch (error) {
      signal.throwIfAborted();
      await patience.pause(error, signal);
    }
  }
}

async function textOf(response: Response): Promise<string> {
  const decoder = new TextDecoder("utf-8", { fatal: true });
  let text = "";
  let bytes = 0;
  const reader = response.body?.getReader();
  try {
    for (;;) {
      const next = await reader?.read();
      if (next === undefined || next.done) break;
      bytes += next.value.length;
      if (bytes > MAX_LIST_BYTES) throw fail("it is too long");
      text += decode(decoder, next.value);
    }
  } finally {
    reader?.releaseLock();
  }
  return text;
}

function decode(decoder: TextDecoder, bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes, { stream: true });
  } catch {
    throw fail("it is no text");
  }
}

/** @throws {ProtocolError} `get.list`. */
function parseList(text: string, url: URL): ListedFile[] {
  let list: unknown;
  try {
    list = JSON.parse(text);
  } catch {
    throw fail("it is no JSON");
  }
  const files = isRecord(list) ? list["files"] : undefined;
  if (!Array.isArray(files)) throw fail("it has no files");
  if (files.length > MAX_FILES) throw fail("it has too many files");
  const taken = new Map<string, number>();
  return files.map((entry: unknown) => {
    const file = readFile(entry, url);
    const name = freeName(file.name, taken);
    return { ...file, name };
  });
}

function readFile(entry: unknown, base: URL): ListedFile {
  if (!isRecord(entry)) throw fail("a file is none");
  const { name, bytes, sha256, href } = entry;
  if (typeof name !== "string" || typeof href !== "string") {
    throw fail("a file has no name, or no link");
  }
  if (typeof bytes !== "number" || !Number.isSafeInteger(bytes) || bytes < 0) {
    throw fail("a file has no size");
  }
  if (typeof sha256 !== "string" || !/^[0-9a-f]{64}$/.test(sha256)) {
    throw fail("a file has no SHA-256");
  }
  const parts = cleanPath(name);
  if (parts === undefined) throw fail("a name leads somewhere else");
  const url = URL.parse(href, base);
  if (url === null || url.origin !== base.origin) {
    throw fail("a link leads somewhere else");
  }
  const digest = Uint8Array.fromHex(sha256);
  if (digest.length !== DIGEST_BYTES) throw fail("a SHA-256 is none");
  return { name: parts, bytes, digest, url };
}

/** Names that differ may be the same once they are cleaned, or where case does not count. */
function freeName(
  name: readonly string[],
  taken: Map<string, number>,
): readonly string[] {
  const keyOf = (parts: readonly string[]) => parts.join("/").toLowerCase();
  const key = keyOf(name);
  let free = name;
  // Where it goes on: ten thousand files of one name are numbered in one pass.
  let number = taken.get(key) ?? 1;
  while (taken.has(keyOf(free))) {
    free = name.with(-1, numberedName(name.at(-1) ?? "", ++number));
  }
  taken.set(keyOf(free), 1);
  taken.set(key, number);
  return free;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function tooSlow(): UnreachableError {
  return new UnreachableError(
    "get.stalled",
    `Cannot read the list of files: it did not come within ${
      STALL_MS / 1000
    } s`,
  );
}

function fail(why: string): ProtocolError {
  return new ProtocolError(
    "get.list",
    `Cannot read the list of files: ${why}`,
  );
}
