/**
 * The site of a share: its pages, and its files with all that resuming takes.
 *
 *     GET /SECRET/              the list          200
 *     GET /SECRET/a.iso         whole             200, ETag, Repr-Digest
 *                 Range         a part            206, or 416
 *                               changed since     409
 *                               downloaded enough 410, but for who goes on
 *     anything else                               404
 *
 * @see protocol §9.7 "Sharing files"
 * @module
 */
import type { Clock, Timer } from "../base/clock.ts";
import { errorCode } from "../base/errors.ts";
import { Places } from "../base/places.ts";
import type { SiteHandler, SiteRequestInfo } from "../http/site_answer.ts";
import { type ByteRange, listsEtag, rangeOf } from "./byte_range.ts";
import { formatAttachment } from "./content_disposition.ts";
import { Deliveries, type DeliveryRecord, PieceQuota } from "./deliveries.ts";
import { etagOf, formatReprDigest } from "./file_digest.ts";
import { SAFE_HEADERS, sentenceResponse } from "./html_page.ts";
import { mediaTypeOf } from "./media_type.ts";
import type { SecretPath } from "./secret_path.ts";
import { directoryResponse, listResponse, wantsList } from "./share_page.ts";
import type { ShareDisk } from "./share_disk.ts";
import { MAX_HELD_OPEN, openPart, type SharedFile } from "./shared_file.ts";

/**
 * How long a transfer that broke off may take to go on, once all has been downloaded
 * often enough, ms: as long as a visitor needs to notice and to come back.
 */
export const GRACE_MS = 120_000;
/** How often to look whether that is over, ms. */
const LOOK_MS = 1_000;

/** A file, and what was kept of its deliveries. */
export interface OfferedFile {
  readonly file: SharedFile;
  readonly deliveries?: DeliveryRecord;
}

/** What a share is made of. */
export interface ShareSiteOptions {
  readonly clock: Clock;
  readonly disk: ShareDisk;
  readonly title: string;
  readonly path: SecretPath;
  readonly files: readonly OfferedFile[];
  /** How often each file may be downloaded. Default: without end. */
  readonly most: number | undefined;
  /** Hears of what happens. */
  readonly on: ShareListener;
}

/** Hears what becomes of a share. */
export interface ShareListener {
  /** Bytes of a file are on their way. */
  onBytes(count: number): void;
  /** A transfer begins, ends, or breaks off: what is to be kept is another. */
  onChange(): void;
  /** A file has been downloaded, for the `count`th time. */
  onDownload(file: SharedFile, count: number): void;
  /** A file is not what it was: visitors are refused. Told once for each. */
  onChanged(file: SharedFile): void;
}

/** A file that is offered. */
interface Offer {
  readonly file: SharedFile;
  readonly etag: string;
  readonly deliveries: Deliveries;
  isChanged: boolean;
}

/** A share, to be served. */
export class ShareSite {
  readonly #options: ShareSiteOptions;
  readonly #offers: ReadonlyMap<string, Offer>;
  readonly #held = new Places(MAX_HELD_OPEN);
  readonly #done = Promise.withResolvers<void>();
  #looking: Timer | undefined;
  #isDone = false;

  constructor(options: ShareSiteOptions) {
    this.#options = options;
    const nowMs = options.clock.nowMs();
    const quota = new PieceQuota();
    this.#offers = new Map(
      options.files.map(({ file, deliveries }) => [file.name.join("/"), {
        file,
        etag: etagOf(file.digest),
        deliveries: new Deliveries(
          file.facts.bytes,
          nowMs,
          deliveries,
          (count) => options.on.onDownload(file, count),
          quota,
        ),
        isChanged: false,
      }]),
    );
    this.#look();
  }

  /** All files and their deliveries, to be kept. */
  get records(): readonly {
    readonly file: SharedFile;
    readonly deliveries: DeliveryRecord;
  }[] {
    return [...this.#offers.values()].map(({ file, deliveries }) => ({
      file,
      deliveries: deliveries.record,
    }));
  }

  /** Transfers that run. */
  get running(): number {
    return [...this.#offers.values()]
      .reduce((sum, { deliveries }) => sum + deliveries.running, 0);
  }

  /** Resolves once each file was downloaded often enough, and no transfer is under way. */
  get done(): Promise<void> {
    return this.#done.promise;
  }

  /** Answers visitors. */
  readonly handle: SiteHandler = async (request, info) => {
    const { method } = request;
    const { pathname } = new URL(request.url);
    const parts = this.#options.path.partsOf(pathname);
    if (parts === undefined) return notFound();
    if (method !== "GET" && method !== "HEAD") {
      return sentenceResponse(
        405,
        "Method not allowed",
        "Files can be looked at and downloaded, and nothing else.",
        { allow: "GET, HEAD" },
      );
    }
    const offer = this.#offers.get(parts.join("/"));
    if (offer !== undefined && !pathname.endsWith("/")) {
      return await this.#fileResponse(offer, request, info);
    }
    const page = this.#pageResponse(parts, request);
    if (page === undefined) return notFound();
    if (pathname.endsWith("/")) return page;
    // Links of a page are seen from its directory.
    const headers = { ...SAFE_HEADERS, location: `${pathname}/` };
    return new Response(null, { status: 308, headers });
  };

  #pageResponse(
    directory: readonly string[],
    request: Request,
  ): Response | undefined {
    const { title, files } = this.#options;
    const shared = files.map(({ file }) => file);
    return directory.length === 0 && wantsList(request)
      ? listResponse(title, shared)
      : directoryResponse(title, shared, directory);
  }

  async #fileResponse(
    offer: Offer,
    { method, headers }: Request,
    info: SiteRequestInfo,
  ): Promise<Response> {
    const { file, etag } = offer;
    const { bytes } = file.facts;
    const name = file.name.at(-1) ?? "";
    const about = {
      ...SAFE_HEADERS,
      "accept-ranges": "bytes",
      "content-disposition": formatAttachment(name),
      // Stored, and never shown: a page that is shared must not act in this one's name.
      "content-security-policy": "default-src 'none'; sandbox",
      "content-type": mediaTypeOf(name),
      "etag": etag,
      "repr-digest": formatReprDigest(file.digest),
    };
    const wanted = headers.get("if-match");
    if (wanted !== null && !listsEtag(wanted, etag)) {
      return sentenceResponse(412, "Another file", "The file is another one.");
    }
    if (listsEtag(headers.get("if-none-match") ?? "", etag)) {
      return new Response(null, { status: 304, headers: about });
    }
    if (method === "HEAD") {
      const length = { "content-length": String(bytes) };
      return new Response(null, { headers: { ...about, ...length } });
    }
    const part = rangeOf(headers, bytes, etag);
    if (part.type === "unsatisfiable") {
      return sentenceResponse(
        416,
        "No such part",
        "The file is shorter than that.",
        { "content-range": `bytes */${bytes}`, "etag": etag },
      );
    }
    const range = part.type === "part" ? part.range : { from: 0, to: bytes };
    if (!this.#isOpen(offer, range)) {
      return sentenceResponse(
        410,
        "No longer shared",
        "This file has been downloaded as often as it was to be.",
      );
    }
    const body = await this.#openPart(offer, range, info);
    if (body === undefined) {
      return sentenceResponse(
        409,
        "Changed",
        "This file was changed, moved or removed since it was shared. Ask for it to be " +
          "shared again.",
      );
    }
    const { from, to } = range;
    return new Response(body, {
      status: part.type === "part" ? 206 : 200,
      headers: {
        ...about,
        "content-length": String(to - from),
        ...part.type === "part" &&
          { "content-range": `bytes ${from}-${to - 1}/${bytes}` },
      },
    });
  }

  #isOpen({ deliveries }: Offer, { from }: ByteRange): boolean {
    const { most = Infinity } = this.#options;
    return !this.#isDone &&
      (deliveries.count < most || deliveries.mayGoOn(from));
  }

  async #openPart(
    offer: Offer,
    range: ByteRange,
    { completed }: SiteRequestInfo,
  ): Promise<ReadableStream<Uint8Array<ArrayBuffer>> | undefined> {
    const { disk, clock, on } = this.#options;
    const { file, deliveries } = offer;
    let stream: ReadableStream<Uint8Array<ArrayBuffer>>;
    try {
      stream = await openPart(disk, file, range, this.#held);
    } catch (error) {
      if (errorCode(error) !== "share.changed") throw error;
      if (!offer.isChanged) on.onChanged(file);
      offer.isChanged = true;
      return undefined;
    }
    const delivery = deliveries.begin(range);
    let sent = 0;
    on.onChange();
    completed.then(
      () => delivery.confirm(),
      () => delivery.breakOff(sent, clock.nowMs()),
    ).then(() => {
      on.onChange();
      this.#look();
    });
    return stream.pipeThrough(
      new TransformStream({
        transform(bytes, controller) {
          sent += bytes.length;
          on.onBytes(bytes.length);
          controller.enqueue(bytes);
        },
      }),
    );
  }

  /** See whether all is done, and if only who broke off is waited for, look again. */
  #look(): void {
    const { most, clock } = this.#options;
    if (most === undefined || this.#isDone) return;
    const all = [...this.#offers.values()].map(({ deliveries }) => deliveries);
    if (all.some(({ count, running }) => count < most || running > 0)) return;
    const brokeOffMs = Math.max(
      ...all.map(({ brokeOffMs = -Infinity }) => brokeOffMs),
    );
    if (clock.nowMs() - brokeOffMs < GRACE_MS) {
      this.#looking?.cancel();
      const housekeeping = { keepAlive: false };
      this.#looking = clock.schedule(LOOK_MS, () => this.#look(), housekeeping);
      return;
    }
    this.#isDone = true;
    this.#done.resolve();
  }
}

function notFound(): Response {
  return sentenceResponse(
    404,
    "Not found",
    "There is nothing here. Is the link whole, with all that stands behind the address?",
  );
}
