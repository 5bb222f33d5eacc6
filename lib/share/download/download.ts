/**
 * One file that is downloaded, however often its connection breaks.
 *
 *     GET, Range from what is there, If-Range ─▶ 206  append
 *                                               200  begin anew: it is another file
 *                                               416  nothing is missing
 *                                               4xx  given up
 *                 broken, 5xx, unreachable ─────▶ wait, and again
 *     all there ─▶ SHA-256 as the sender said ─▶ the file has its name
 *
 * @see protocol §9.7 "Sharing files"
 * @see {@link https://www.rfc-editor.org/rfc/rfc9110#section-14 | RFC 9110 §13, §14}
 * @module
 */
import { type Bytes, equalBytes } from "../../base/bytes.ts";
import { type Clock, deadline, raceSignal } from "../../base/clock.ts";
import { ProtocolError, UnreachableError } from "../../base/errors.ts";
import { parseContentRange } from "../byte_range.ts";
import { parseReprDigest } from "../file_digest.ts";
import {
  type Fetch,
  Patience,
  type PatienceListener,
  refusal,
} from "./patience.ts";

/** What of a file tells it from another one. */
export interface Entity {
  /** A strong ETag; none: then nothing can be resumed. */
  readonly etag: string | undefined;
  /** Length; not known before the end where it is `undefined`. */
  readonly bytes: number | undefined;
  /** What its sender says that its SHA-256 is. */
  readonly digest: Bytes | undefined;
}

/** Where a download is kept until it is whole. */
export interface PartStore {
  /** Bytes that are there. */
  readonly bytes: number;
  /** Of what. */
  readonly entity: Entity | undefined;
  /** Their SHA-256. */
  readonly digest: Bytes;
  /** Forget what is there, and begin with this. */
  begin(entity: Entity): Promise<void>;
  /** Append bytes. */
  append(bytes: Uint8Array): Promise<void>;
}

/** What a download is made of. */
export interface DownloadOptions {
  readonly clock: Clock;
  readonly fetch: Fetch;
  readonly url: URL;
  readonly part: PartStore;
  /** What its SHA-256 has to be, where that is known from elsewhere. */
  readonly digest?: Bytes | undefined;
  /** Its length, where that is known from elsewhere: no more than that is taken. */
  readonly bytes?: number | undefined;
  /** How long to try again without a byte more, ms. */
  readonly patienceMs: number;
  readonly on: DownloadListener;
}

/** Hears how a download goes on. */
export interface DownloadListener extends PatienceListener {
  /** So many bytes are there, of all if that is known. */
  onProgress(bytes: number, all: number | undefined): void;
  /** It goes on from there: bytes of an earlier run, or of an earlier connection. */
  onResume(bytes: number): void;
  /** What was there is of another file, or cannot be resumed: it begins anew. */
  onAnew(): void;
}

/** A connection on which nothing comes for so long is given up, ms. */
export const STALL_MS = 120_000;
/** Of a file of which nothing is known. */
const NOTHING: Entity = {
  etag: undefined,
  bytes: undefined,
  digest: undefined,
};

/**
 * Download a file.
 *
 * @returns Whether its SHA-256 could be compared with what the sender says.
 * @throws {UnreachableError} `get.status`, `get.gave_up`.
 * @throws {ProtocolError} `get.digest`, `get.range`.
 * @throws {ConfigError} of an address that makes no sense, or of the disk.
 * @throws the signal's reason.
 */
export async function download(
  options: DownloadOptions,
  { signal }: { readonly signal: AbortSignal },
): Promise<"verified" | "unverified"> {
  return await new Download(options, signal).run();
}

class Download {
  readonly #options: DownloadOptions;
  readonly #signal: AbortSignal;
  readonly #patience: Patience;
  /** Whether bytes are there that another connection brought. */
  #isResumed: boolean;
  /** Whether it was begun anew for a wrong digest: once is enough. */
  #wasWrong = false;

  constructor(options: DownloadOptions, signal: AbortSignal) {
    this.#options = options;
    this.#signal = signal;
    this.#patience = new Patience(options);
    this.#isResumed = options.part.bytes > 0;
  }

  async run(): Promise<"verified" | "unverified"> {
    for (;;) {
      try {
        await this.#attempt();
        const verdict = await this.#verify();
        if (verdict !== "anew") return verdict;
      } catch (error) {
        this.#signal.throwIfAborted();
        await this.#patience.pause(error, this.#signal);
      }
    }
  }

  /** Ask once, and take what comes. @throws where that is not all. */
  async #attempt(): Promise<void> {
    const { part, on } = this.#options;
    const { entity } = part;
    if (entity?.bytes !== undefined && part.bytes === entity.bytes) return;
    const from = entity?.etag === undefined ? 0 : part.bytes;
    const response = await this.#ask(from, entity?.etag);
    try {
      if (await this.#isThere(response, from)) return;
      const now = this.#entityOf(response);
      if (response.status === 206) {
        const { bytes = entity?.bytes } = this.#options;
        if (!isNext(response, from, { etag: entity?.etag, bytes }, now)) {
          on.onAnew();
          await part.begin(NOTHING);
          throw new UnreachableError(
            "get.passing",
            "Cannot resume: the service sends another part than was asked for",
          );
        }
        this.#isResumed = true;
        on.onResume(from);
      } else {
        if (part.bytes > 0) on.onAnew();
        await part.begin(now);
        this.#isResumed = false;
      }
      await this.#take(response);
    } finally {
      await response.body?.cancel().catch(() => {});
    }
    const all = this.#all;
    if (all === undefined || part.bytes === all) return;
    throw new UnreachableError(
      "get.cut",
      "Cannot download: the connection ended before the file did",
    );
  }

  /** How long the file is, as far as that is known. */
  get #all(): number | undefined {
    const { bytes, part } = this.#options;
    return bytes ?? part.entity?.bytes;
  }

  /** @throws {ProtocolError} `get.range` for a file of another length than was said before. */
  #entityOf(response: Response): Entity {
    const { digest, bytes } = this.#options;
    const now = entityOf(response, digest);
    const isPart = response.status === 206;
    if (bytes === undefined || isPart) return now;
    if (now.bytes === undefined || now.bytes === bytes) {
      return { ...now, bytes };
    }
    throw new ProtocolError(
      "get.range",
      "Cannot download: the file is not as long as the list of the share says",
    );
  }

  async #ask(from: number, etag: string | undefined): Promise<Response> {
    const { fetch, url, clock } = this.#options;
    const headers = new Headers({ "accept-encoding": "identity" });
    if (from > 0 && etag !== undefined) {
      headers.set("range", `bytes=${from}-`);
      headers.set("if-range", etag);
    }
    using limit = deadline(clock, STALL_MS, stalled, this.#signal);
    return await fetch(url, { headers, signal: limit.signal });
  }

  /**
   * Judge the status.
   *
   * @returns Whether all is there already.
   * @throws {UnreachableError} `get.status`, `get.passing`.
   */
  async #isThere(response: Response, from: number): Promise<boolean> {
    const { part, on } = this.#options;
    const { status, headers } = response;
    if (status === 200) return false;
    if (status === 206 && from > 0) return false;
    if (status === 416 && from > 0) {
      const all = /^bytes \*\/([0-9]{1,15})$/
        .exec(headers.get("content-range") ?? "")?.[1];
      // What was said to be longer does not end here.
      if (Number(all) === from && from === (this.#all ?? from)) return true;
      on.onAnew();
      await part.begin(NOTHING);
      throw new UnreachableError("get.passing", "Cannot resume: it is shorter");
    }
    throw refusal(response);
  }

  async #take(response: Response): Promise<void> {
    const { part, clock, on } = this.#options;
    const all = this.#all;
    const reader = response.body?.getReader();
    if (reader === undefined) return;
    try {
      for (;;) {
        using limit = deadline(clock, STALL_MS, stalled, this.#signal);
        const next = await raceSignal(reader.read(), limit.signal);
        if (next.done) return;
        if (all !== undefined && part.bytes + next.value.length > all) {
          throw new ProtocolError(
            "get.range",
            "Cannot download: more comes than the service said",
          );
        }
        await part.append(next.value);
        this.#patience.onProgress();
        on.onProgress(part.bytes, all);
      }
    } finally {
      reader.cancel().catch(() => {});
      reader.releaseLock();
    }
  }

  /** @throws {ProtocolError} `get.digest`. */
  async #verify(): Promise<"verified" | "unverified" | "anew"> {
    const { part, digest = part.entity?.digest, on } = this.#options;
    if (digest === undefined) return "unverified";
    if (equalBytes(part.digest, digest)) return "verified";
    await part.begin(NOTHING);
    if (this.#isResumed && !this.#wasWrong) {
      // A disk may have lost what an earlier run wrote.
      this.#isResumed = false;
      this.#wasWrong = true;
      on.onAnew();
      return "anew";
    }
    throw new ProtocolError(
      "get.digest",
      "Cannot keep the file: its SHA-256 is not what the service says",
    );
  }
}

function stalled(): UnreachableError {
  return new UnreachableError(
    "get.stalled",
    `Cannot download: nothing came for ${STALL_MS / 1000} s`,
  );
}

/** What an answer says of its file. @param known What its SHA-256 has to be. */
function entityOf({ headers }: Response, known: Bytes | undefined): Entity {
  const length = headers.get("content-length");
  const etag = headers.get("etag")?.trim();
  const isStrong = etag !== undefined &&
    /^"[\x21\x23-\x7e]{1,256}"$/.test(etag);
  const isEncoded = headers.has("content-encoding");
  return {
    etag: isStrong && !isEncoded ? etag : undefined,
    bytes: length !== null && /^[0-9]{1,15}$/.test(length) && !isEncoded
      ? Number(length)
      : undefined,
    digest: known ?? parseReprDigest(headers.get("repr-digest") ?? ""),
  };
}

/** Whether a part follows on what is there, and is of the same file. */
function isNext(
  { headers }: Response,
  from: number,
  before: Omit<Entity, "digest">,
  now: Entity,
): boolean {
  const part = parseContentRange(headers.get("content-range") ?? "");
  return part !== undefined && part.range.from === from &&
    part.range.to === part.bytes &&
    (now.etag === undefined || now.etag === before.etag) &&
    (before.bytes === undefined || before.bytes === part.bytes);
}
