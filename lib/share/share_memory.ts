/**
 * What a share keeps in the state directory, so that it is the same after a restart:
 *
 *     share-<id>.blob   { secret, files: [{ path, bytes, changed, identity, digest,
 *                         count, begun: [[from, to, …], …], unfinished: [from, to, …] }, …] }
 *
 * Digests are kept, for to read a large file takes a while; those of files that were
 * changed since are of no use.
 *
 * @see protocol §9.1 "State directory"
 * @module
 */
import type { Bytes } from "../base/bytes.ts";
import { type Clock, sleep } from "../base/clock.ts";
import { ProtocolError } from "../base/errors.ts";
import { TaskSet } from "../base/task_set.ts";
import type { BlobStore } from "../storage/blob_store.ts";
import { type CborValue, encodeCbor } from "../wire/cbor.ts";
import { decodeFields, type Fields } from "../wire/fields.ts";
import type { ByteRange } from "./byte_range.ts";
import type { DeliveryRecord } from "./deliveries.ts";
import { DIGEST_BYTES } from "./file_digest.ts";
import { MAX_FILES } from "./share_tree.ts";
import type { FoundFile } from "./shared_file.ts";

/** Bytes of the secret in the path of a share. */
export const SECRET_BYTES = 16;

/** Tuning: between two writes, ms. Visitors who fetch many small files make no more. */
const REST_MS = 500;

const MAX_TEXT = 16 * 1024;
const MAX_NUMBERS = 4096;
const LIMITS = { maxItems: 4_000_000 };

/** What is kept of one file. */
export interface KeptFile {
  readonly path: string;
  readonly bytes: number;
  readonly changedMs: number;
  readonly identity: string;
  readonly digest: Bytes;
  readonly deliveries: DeliveryRecord;
}

/** What is kept of a share. */
export interface KeptShare {
  readonly secret: Bytes;
  readonly files: readonly KeptFile[];
}

/** What the memory of a share is made of. */
export interface ShareMemoryOptions {
  readonly blobs: BlobStore;
  /** Of the blob. */
  readonly name: string;
  readonly clock: Clock;
  /** Hears where it cannot be written. */
  readonly onError: (error: unknown) => void;
}

/** The memory of one share. */
export class ShareMemory implements AsyncDisposable {
  readonly #options: ShareMemoryOptions;
  readonly #tasks = new TaskSet(() => {});
  readonly #stopping = new AbortController();
  #next: (() => KeptShare) | undefined;
  #isWriting = false;

  constructor(options: ShareMemoryOptions) {
    this.#options = options;
  }

  /** What was kept; `undefined` when nothing was, or when it makes no sense any more. */
  async read(): Promise<KeptShare | undefined> {
    const { blobs, name } = this.#options;
    const bytes = await blobs.read(name);
    if (bytes === undefined) return undefined;
    try {
      return decode(bytes);
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error;
      await blobs.setAside(name);
      return undefined;
    }
  }

  /** Keep what `share` gives, soon: what is asked for meanwhile is one write. */
  keep(share: () => KeptShare): void {
    this.#next = share;
    if (this.#isWriting) return;
    this.#isWriting = true;
    this.#tasks.run(this.#write());
  }

  async #write(): Promise<void> {
    const { blobs, name, clock, onError } = this.#options;
    const { signal } = this.#stopping;
    try {
      for (let next = this.#next; next !== undefined; next = this.#next) {
        this.#next = undefined;
        await blobs.write(name, encode(next()));
        await sleep(clock, REST_MS, { signal }).catch(() => {});
      }
    } catch (error) {
      onError(error);
    } finally {
      this.#isWriting = false;
    }
  }

  /** Wait until all is written. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping.abort();
    await this.#tasks.ended();
  }
}

/** What is kept of a file that is still the same. */
export function keptOf(
  file: FoundFile,
  kept: KeptShare | undefined,
): KeptFile | undefined {
  const { path, facts } = file;
  return kept?.files.find((other) =>
    other.path === path && other.bytes === facts.bytes &&
    other.changedMs === Math.floor(facts.changedMs) &&
    other.identity === facts.identity
  );
}

function encode({ secret, files }: KeptShare): Bytes {
  return encodeCbor({
    secret,
    files: files.map((
      { path, bytes, changedMs, identity, digest, deliveries },
    ) => ({
      path,
      bytes,
      changed: Math.max(0, Math.floor(changedMs)),
      identity,
      digest,
      count: deliveries.count,
      begun: deliveries.begun.map(numbersOf),
      unfinished: numbersOf(deliveries.unfinished),
    })),
  });
}

function numbersOf(ranges: readonly ByteRange[]): CborValue {
  return ranges.flatMap(({ from, to }) => [from, to]);
}

function decode(bytes: Bytes): KeptShare {
  const fields = decodeFields(bytes, "share", LIMITS);
  const secret = fields.bytes("secret", { length: SECRET_BYTES });
  const files = fields.mapArray("files", MAX_FILES).map(readFile);
  fields.finish();
  return { secret, files };
}

function readFile(fields: Fields): KeptFile {
  const file = {
    path: fields.text("path", MAX_TEXT),
    bytes: fields.uint("bytes"),
    changedMs: fields.uint("changed"),
    identity: fields.text("identity", MAX_TEXT),
    digest: fields.bytes("digest", { length: DIGEST_BYTES }),
    deliveries: {
      count: fields.uint("count"),
      begun: fields.array("begun", MAX_NUMBERS).map(rangesOf),
      unfinished: rangesOf(fields.array("unfinished", MAX_NUMBERS)),
    },
  };
  fields.finish();
  return file;
}

function rangesOf(value: unknown): ByteRange[] {
  const numbers = Array.isArray(value) ? value : [];
  const ranges: ByteRange[] = [];
  for (let index = 0; index + 1 < numbers.length; index += 2) {
    const [from, to] = numbers.slice(index, index + 2);
    if (typeof from !== "number" || typeof to !== "number" || from > to) {
      throw new ProtocolError("wire.field", "Cannot read share: no range");
    }
    ranges.push({ from, to });
  }
  return ranges;
}
