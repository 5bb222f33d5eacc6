/**
 * A file that is shared: what it was when it was looked at, and its bytes as long as
 * it still is that.
 *
 *     look ─▶ digest ─▶ open, compare ─▶ bytes ─▶ compare ─▶ end
 *                            └─ another, or changed ─▶ share.changed
 *
 * @module
 */
import type { Bytes } from "../base/bytes.ts";
import { UnreachableError } from "../base/errors.ts";
import type { ByteRange } from "./byte_range.ts";
import { DigestSum } from "./file_digest.ts";
import type { DiskFacts, OpenFile, ShareDisk } from "./share_disk.ts";

/** Bytes read at once. */
const READ_BYTES = 256 * 1024;

/** A file that is to be shared, as it was found. */
export interface FoundFile {
  /** Where it is. */
  readonly path: string;
  /** What visitors call it: parts of a path, the last one its name. */
  readonly name: readonly string[];
  readonly facts: DiskFacts;
}

/** A file with its digest. */
export interface SharedFile extends FoundFile {
  readonly digest: Bytes;
}

/**
 * The digest of a file.
 *
 * @param onBytes Hears how many bytes more have been read.
 * @throws {UnreachableError} `share.changed`; the system's own errors.
 */
export async function digestOf(
  disk: ShareDisk,
  file: FoundFile,
  { onBytes, signal }: {
    readonly onBytes: (count: number) => void;
    readonly signal: AbortSignal;
  },
): Promise<Bytes> {
  const sum = new DigestSum();
  const whole = { from: 0, to: file.facts.bytes };
  for await (const bytes of bytesOf(disk, file, whole)) {
    signal.throwIfAborted();
    sum.add(bytes);
    onBytes(bytes.length);
  }
  return sum.digest;
}

/**
 * Open a part of a file. It fails at once where the file is not what it was, and the
 * stream fails where it changes meanwhile.
 *
 * @throws {UnreachableError} `share.changed`.
 */
export async function openPart(
  disk: ShareDisk,
  file: FoundFile,
  range: ByteRange,
): Promise<ReadableStream<Bytes>> {
  const parts = bytesOf(disk, file, range);
  // Opened and compared before the first byte, or there would be an answer already.
  const first = await parts.next();
  return new ReadableStream<Bytes>({
    start(controller) {
      if (first.done) controller.close();
      else controller.enqueue(first.value);
    },
    async pull(controller) {
      const next = await parts.next();
      if (next.done) controller.close();
      else controller.enqueue(next.value);
    },
    async cancel() {
      await parts.return();
    },
  }, { highWaterMark: 0 });
}

async function* bytesOf(
  disk: ShareDisk,
  file: FoundFile,
  { from, to }: ByteRange,
): AsyncGenerator<Bytes, void> {
  using open = await openFound(disk, file);
  for (let at = from; at < to;) {
    const buffer = new Uint8Array(Math.min(READ_BYTES, to - at));
    const count = await open.read(at, buffer);
    if (count === 0) throw changed(undefined);
    at += count;
    // Nothing of another file must go out as this one.
    if (at >= to) await checkSame(open, file.facts);
    yield buffer.subarray(0, count);
  }
}

async function openFound(
  disk: ShareDisk,
  { path, facts }: FoundFile,
): Promise<OpenFile> {
  let open: OpenFile;
  try {
    open = await disk.open(path);
  } catch (error) {
    throw changed(error);
  }
  try {
    await checkSame(open, facts);
    return open;
  } catch (error) {
    open[Symbol.dispose]();
    throw error;
  }
}

/** A link that was put in its place, or in place of a directory above, leads to another file. */
async function checkSame(open: OpenFile, before: DiskFacts): Promise<void> {
  const now = await open.facts();
  const isSame = now.kind === "file" && now.bytes === before.bytes &&
    now.changedMs === before.changedMs && now.identity === before.identity;
  if (!isSame) throw changed(undefined);
}

function changed(cause: unknown): UnreachableError {
  return new UnreachableError(
    "share.changed",
    "Cannot read file: it was changed, moved or removed since it was shared",
    { cause },
  );
}
