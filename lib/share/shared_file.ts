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
import { Places } from "../base/places.ts";
import type { ByteRange } from "./byte_range.ts";
import { DigestSum } from "./file_digest.ts";
import type { DiskFacts, OpenFile, ShareDisk } from "./share_disk.ts";

/** Bytes read at once: what waits in memory for a visitor who reads slowly is some of these. */
const READ_BYTES = 64 * 1024;
/**
 * Files that are held open for visitors. For further ones a file is opened for each
 * read: however many there are, the process has files left for all else.
 */
export const MAX_HELD_OPEN = 64;

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
  for await (const bytes of bytesOf(disk, file, whole, new Places(1))) {
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
 * @param held Places of those that are held open.
 * @throws {UnreachableError} `share.changed`.
 */
export async function openPart(
  disk: ShareDisk,
  file: FoundFile,
  range: ByteRange,
  held: Places,
): Promise<ReadableStream<Bytes>> {
  const parts = bytesOf(disk, file, range, held);
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
  held: Places,
): AsyncGenerator<Bytes, void> {
  const isHeld = held.take();
  let open: OpenFile | undefined;
  try {
    open = await openFound(disk, file);
    for (let at = from; at < to;) {
      open ??= await openFound(disk, file);
      const buffer = new Uint8Array(Math.min(READ_BYTES, to - at));
      const count = await open.read(at, buffer);
      if (count === 0) throw changed(undefined);
      at += count;
      // Nothing of another file must go out as this one.
      if (at >= to) await checkSame(open, file.facts);
      if (!isHeld) {
        open[Symbol.dispose]();
        open = undefined;
      }
      yield buffer.subarray(0, count);
    }
  } finally {
    open?.[Symbol.dispose]();
    if (isHeld) held.give();
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
    if (isPassing(error)) throw error;
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

/** Whether the machine lacks something, and the file nothing. */
function isPassing(error: unknown): boolean {
  const code = error instanceof Error && "code" in error ? error.code : "";
  return code === "EMFILE" || code === "ENFILE" || code === "ENOMEM";
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
