/**
 * A share on a disk in memory, and a visitor who asks it.
 *
 * @module
 */
import type { Clock } from "../../lib/base/clock.ts";
import { VirtualClock } from "../../lib/base/virtual_clock.ts";
import { SecretPath } from "../../lib/share/secret_path.ts";
import type { DeliveryRecord } from "../../lib/share/deliveries.ts";
import { ShareSite } from "../../lib/share/share_site.ts";
import { findFiles } from "../../lib/share/share_tree.ts";
import { digestOf, type SharedFile } from "../../lib/share/shared_file.ts";
import { createDrain } from "../../lib/sim/world/drain.ts";
import { HOST } from "../proxy/world.ts";
import { MemoryDisk } from "./memory_disk.ts";

/** The secret of the shares of tests. */
export const SECRET = new Uint8Array(16).fill(7);
export const PATH = new SecretPath(SECRET);

/** The files of a disk at these paths, with their digests. */
export async function sharedFiles(
  disk: MemoryDisk,
  paths: readonly string[],
): Promise<SharedFile[]> {
  const { files } = await findFiles(disk, paths);
  const { signal } = new AbortController();
  return await Promise.all(files.map(async (file) => ({
    ...file,
    digest: await digestOf(disk, file, { onBytes() {}, signal }),
  })));
}

/** What a share of tests is told. */
export interface WorldOptions {
  readonly most?: number;
  readonly title?: string;
  readonly path?: SecretPath;
  readonly clock?: Clock;
  readonly before?: ReadonlyMap<string, DeliveryRecord>;
}

/** How one answer ends. */
export interface Visit {
  readonly response: Response;
  /** All has arrived. */
  confirm(): Promise<void>;
  /** It broke off. */
  breakOff(): Promise<void>;
}

/** A share, and what it tells. */
export class ShareWorld {
  readonly disk: MemoryDisk;
  readonly clock: VirtualClock | Clock;
  readonly site: ShareSite;
  readonly told: string[] = [];

  private constructor(
    disk: MemoryDisk,
    files: readonly SharedFile[],
    options: WorldOptions,
  ) {
    const { most, title = "Files", path = PATH, before } = options;
    this.disk = disk;
    this.clock = options.clock ?? new VirtualClock({ drain: createDrain() });
    this.site = new ShareSite({
      clock: this.clock,
      disk,
      title,
      path,
      files: files.map((file) => {
        const deliveries = before?.get(file.name.join("/"));
        return deliveries === undefined ? { file } : { file, deliveries };
      }),
      most,
      on: {
        onBytes() {},
        onChange() {},
        onDownload: ({ name }, count) =>
          this.told.push(`${name.join("/")} ${count}`),
        onChanged: ({ name }) => this.told.push(`changed ${name.join("/")}`),
      },
    });
  }

  static async of(
    disk: MemoryDisk,
    paths: readonly string[],
    options: WorldOptions = {},
  ): Promise<ShareWorld> {
    return new ShareWorld(disk, await sharedFiles(disk, paths), options);
  }

  /** Ask for a path below the secret. */
  async visit(path: string, init: RequestInit = {}): Promise<Visit> {
    return await this.ask(`${PATH.prefix}${path}`, init);
  }

  /** Ask for any path. */
  async ask(path: string, init: RequestInit = {}): Promise<Visit> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    promise.catch(() => {});
    const request = new Request(`http://${HOST}${path}`, init);
    const response = await this.site.handle(request, { completed: promise });
    const settled = async () => {
      for (let turn = 0; turn < 5; turn++) await Promise.resolve();
    };
    return {
      response,
      confirm: () => {
        resolve();
        return settled();
      },
      breakOff: () => {
        reject(new Error("broken off"));
        return settled();
      },
    };
  }

  /** The status and the body of an answer that arrives. */
  async read(path: string, init: RequestInit = {}): Promise<[number, string]> {
    const { response, confirm } = await this.visit(path, init);
    const text = await response.text();
    await confirm();
    return [response.status, text];
  }
}

/** A disk with one file of these bytes, and its name. */
export function diskWith(bytes: Uint8Array | string): MemoryDisk {
  const disk = new MemoryDisk();
  const content = typeof bytes === "string"
    ? new TextEncoder().encode(bytes)
    : bytes;
  disk.put("/files/report.pdf", content);
  return disk;
}
