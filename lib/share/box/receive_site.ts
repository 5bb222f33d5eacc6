/**
 * The site of a drop box: a form, and what becomes of the files that are sent.
 *
 *     GET  /SECRET/      the form                    200
 *     POST /SECRET/      all files stored            201, their names and sums
 *                        no form, or a broken one    400
 *                        too slow                    408
 *                        too large, too many         413
 *                        too many at once            503, Retry-After
 *                        no room                     507
 *     anything else                                  404
 *
 * @see protocol §9.7 "Sharing files"
 * @module
 */
import type { Clock } from "../../base/clock.ts";
import { AnonNetError, ConfigError, errorCode } from "../../base/errors.ts";
import type { SiteHandler } from "../../http/site_answer.ts";
import type { DropBox, DroppedFile } from "./drop_box.ts";
import { shownName } from "../file_name.ts";
import { html, pageResponse, sentenceResponse } from "../html_page.ts";
import type { SecretPath } from "../secret_path.ts";
import { formatBytes } from "../share_page.ts";
import { readForm } from "./upload_form.ts";
import { type UploadPlace, UploadPlaces } from "./upload_places.ts";

/** When to come back, s. */
const RETRY_SECONDS = 30;
/** Files of one form. */
const MAX_FORM_FILES = 100;

/** What a site for uploads is called where its operator does not say. */
export const RECEIVE_TITLE = "Send files";

/** What a site for uploads is made of. */
export interface ReceiveSiteOptions {
  readonly clock: Clock;
  readonly title: string;
  readonly path: SecretPath;
  readonly box: DropBox;
  readonly on: ReceiveListener;
}

/** Hears what is received. */
export interface ReceiveListener {
  onBytes(count: number): void;
  onFile(file: DroppedFile): void;
  /** An upload has ended, well or not; so many are under way. */
  onEnd(running: number): void;
  /** The disk fails: uploads are refused. */
  onTrouble(error: unknown): void;
}

/** What visitors are told; anything else is our own trouble. */
const REFUSALS: ReadonlyMap<string, readonly [number, string, string]> =
  new Map([
    ["receive.form", [
      400,
      "No files",
      "What came is no form with files, or a broken one.",
    ]],
    ["receive.slow", [408, "Too slow", "The files come too slowly."]],
    ["receive.too_large", [
      413,
      "Too large",
      "A file is larger than is allowed here.",
    ]],
    ["receive.too_many", [
      413,
      "Too many files",
      `Send at most ${MAX_FORM_FILES} files at once.`,
    ]],
    ["receive.full", [
      507,
      "Full",
      "No more files are taken here. Ask the one who gave you the link.",
    ]],
  ]);

/** A site that takes files. */
export class ReceiveSite {
  readonly #options: ReceiveSiteOptions;
  readonly #places = new UploadPlaces();

  constructor(options: ReceiveSiteOptions) {
    this.#options = options;
  }

  /** Answers visitors. */
  readonly handle: SiteHandler = async (request) => {
    const { pathname } = new URL(request.url);
    const parts = this.#options.path.partsOf(pathname);
    if (parts === undefined || parts.length > 0) {
      return sentenceResponse(
        404,
        "Not found",
        "There is nothing here. Is the link whole, with all that stands behind the address?",
      );
    }
    switch (request.method) {
      case "GET":
      case "HEAD":
        return this.#form();
      case "POST":
        return await this.#receive(request);
      default:
        return sentenceResponse(
          405,
          "Method not allowed",
          "Files are sent with the form of this page.",
          { allow: "GET, HEAD, POST" },
        );
    }
  };

  #form(): Response {
    const { title, path } = this.#options;
    return pageResponse(
      title,
      html`
        <form method="post" action="${path
          .prefix}" enctype="multipart/form-data">
          <p><label for="files">Files to send</label><br>
        <input id="files" type="file" name="file" multiple required></p>
          <p><button>Send</button></p>
        </form>
        <p>The one who gave you this link gets the files with their names, and whatever the files themselves say of you.
        Leave this page open until it says that they have arrived.</p>
      `,
      { forms: "forms" },
    );
  }

  async #receive(request: Request): Promise<Response> {
    const { on, clock } = this.#options;
    const place = this.#places.take(clock.nowMs());
    if (place === undefined) {
      return sentenceResponse(
        503,
        "Busy",
        "Too many send files now. Try again in a moment.",
        { "retry-after": String(RETRY_SECONDS) },
      );
    }
    try {
      return stored(await this.#take(request, place));
    } catch (error) {
      const refusal = REFUSALS.get(errorCode(error));
      if (refusal !== undefined) return sentenceResponse(...refusal);
      if (!(error instanceof AnonNetError)) throw error;
      if (!(error instanceof ConfigError)) throw error;
      on.onTrouble(error);
      return sentenceResponse(
        507,
        "No room",
        "The files cannot be stored now. Ask the one who gave you the link.",
      );
    } finally {
      this.#places.give(place);
      on.onEnd(this.#places.used);
    }
  }

  async #take(request: Request, place: UploadPlace): Promise<DroppedFile[]> {
    const { box, clock, on } = this.#options;
    const files: DroppedFile[] = [];
    await readForm(request, {
      clock,
      signal: place.signal,
      maxFiles: MAX_FORM_FILES,
      async onFile({ name, bytes }) {
        const file = await box.take(name, bytes, (count) => {
          place.onBytes(count);
          on.onBytes(count);
        });
        files.push(file);
        on.onFile(file);
      },
    });
    return files;
  }
}

function stored(files: readonly DroppedFile[]): Response {
  const rows = files.map(({ name, bytes, digest }) =>
    html`
      <tr>
        <td><bdi>${shownName(name, 200)}</bdi></td>
        <td class="size">${formatBytes(bytes)}</td>
        <td><code>${digest.toHex()}</code></td>
      </tr>
    `
  );
  if (rows.length === 0) {
    return sentenceResponse(400, "No files", "No file was chosen.");
  }
  return pageResponse(
    "Arrived",
    html`
      <table>
        <caption>All of it is stored.</caption>
        <thead>
          <tr>
            <th scope="col">Name</th>
            <th scope="col">Size</th>
            <th scope="col">SHA-256</th>
          </tr>
        </thead>
        <tbody>
      ${rows}</tbody>
      </table>
    `,
    { status: 201 },
  );
}
