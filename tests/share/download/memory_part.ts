/**
 * A part of a file in memory, and a server that breaks off as a test likes.
 *
 * @module
 */
import type { Bytes } from "../../../lib/base/bytes.ts";
import { concat } from "../../../lib/base/bytes.ts";
import type {
  DownloadListener,
  Entity,
  PartStore,
} from "../../../lib/share/download/download.ts";
import { DigestSum } from "../../../lib/share/file_digest.ts";

/** A part of a file. */
export class MemoryPart implements PartStore {
  content: Bytes;
  entity: Entity | undefined;

  constructor(content: Uint8Array = new Uint8Array(0), entity?: Entity) {
    this.content = new Uint8Array(content);
    this.entity = entity;
  }

  get bytes(): number {
    return this.content.length;
  }

  get digest(): Bytes {
    return sha256(this.content);
  }

  begin(entity: Entity): Promise<void> {
    this.content = new Uint8Array(0);
    this.entity = entity;
    return Promise.resolve();
  }

  append(bytes: Uint8Array): Promise<void> {
    this.content = concat(this.content, bytes);
    return Promise.resolve();
  }
}

export function sha256(bytes: Uint8Array): Bytes {
  const sum = new DigestSum();
  sum.add(bytes);
  return sum.digest;
}

/** Takes note of what a download tells. */
export function noting(said: string[]): DownloadListener {
  return {
    onProgress() {},
    onResume: (bytes) => void said.push(`resume ${bytes}`),
    onAnew: () => void said.push("anew"),
    onRetry: (error, waitMs) =>
      void said.push(
        `retry ${waitMs} ${error instanceof Error ? error.name : ""}`,
      ),
  };
}
