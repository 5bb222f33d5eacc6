/**
 * Files in the body of a form, one after the other, none of them ever whole in memory.
 *
 *     --boundary  Content-Disposition: form-data; name="file"; filename="a.txt"  …bytes…
 *     --boundary  …
 *     --boundary--
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc7578 | RFC 7578}
 * @module
 */
import { Busboy } from "@fastify/busboy";
import { type Clock, deadline, raceSignal } from "../../base/clock.ts";
import { ProtocolError } from "../../base/errors.ts";
import { onAbort } from "../../base/on_abort.ts";

/** Fields that are no files: ours has none, programs may send some. */
const MAX_FIELDS = 16;
const MAX_FIELD_BYTES = 1024;
/** Lines of the head of a part, and their bytes. */
const MAX_HEADER_LINES = 16;
const MAX_HEADER_BYTES = 8 * 1024;
/** Longest `Content-Type`: a boundary has 70 characters at most. */
const MAX_TYPE = 256;

/**
 * In each such time an upload brings so many bytes at least, or it is given up: slow
 * ones must not take the places of others for ever.
 */
export const SLOW_MS = 60_000;
export const LEAST_BYTES = 16 * 1024;

/** A file of a form. */
export interface FormFile {
  /** As the visitor's browser says: nothing is cleaned. */
  readonly name: string;
  /** Its bytes; fails where the form breaks off. */
  readonly bytes: AsyncIterable<Uint8Array>;
}

/** What reading a form takes. */
export interface FormOptions {
  readonly clock: Clock;
  /** Ends it, with its reason. */
  readonly signal: AbortSignal;
  /** Files that are taken from it. */
  readonly maxFiles: number;
  /** Takes one file: to its end, or the form is given up. */
  readonly onFile: (file: FormFile) => Promise<void>;
}

/**
 * Read a form. Resolves when all files have been taken.
 *
 * @throws {ProtocolError} `receive.form` for what is none, `receive.too_many`,
 * `receive.slow`.
 * @throws what `onFile` throws; what the body fails with.
 */
export async function readForm(
  request: Request,
  { clock, signal, maxFiles, onFile }: FormOptions,
): Promise<void> {
  const failure = Promise.withResolvers<never>();
  failure.promise.catch(() => {});
  const fail = (error: unknown) => failure.reject(error);
  using _ending = onAbort(signal, fail);
  const parser = parserOf(request, maxFiles);
  const files: Promise<void>[] = [];
  let current: { destroy(error: Error): unknown } | undefined;
  parser.on("file", (_field, stream, name) => {
    current = stream;
    stream.on("error", () => {}); // told to who reads it, if any does
    // No file was chosen: browsers send an empty one without a name.
    if (name === undefined || name === "") return void stream.resume();
    files.push(onFile({ name, bytes: stream }).catch(fail));
  });
  for (const event of ["filesLimit", "partsLimit", "fieldsLimit"] as const) {
    parser.on(event, () => fail(tooMany()));
  }
  const finished = new Promise<void>((resolve) => {
    parser.on("finish", resolve);
  });
  parser.on("error", (error) => fail(noForm(error)));
  const write = (bytes: Uint8Array) =>
    new Promise<void>((resolve, reject) => {
      parser.write(bytes, (error) => error ? reject(noForm(error)) : resolve());
    });
  const pace = new Pace(clock, request.signal);
  const reader = request.body?.getReader();
  try {
    for (;;) {
      const reading = reader?.read();
      if (reading === undefined) break;
      const next = await Promise.race([pace.wait(reading), failure.promise]);
      if (next.done) break;
      await Promise.race([write(next.value), failure.promise]);
    }
    parser.end();
    await Promise.race([finished, failure.promise]);
    await Promise.race([Promise.all(files), failure.promise]);
  } catch (error) {
    reader?.cancel(error).catch(() => {});
    // Who takes a file hears that no more comes, and has cleaned up before we go on.
    current?.destroy(noForm(error));
    parser.destroy();
    await Promise.all(files);
    throw error;
  } finally {
    reader?.releaseLock();
  }
}

function parserOf(request: Request, maxFiles: number) {
  const type = request.headers.get("content-type") ?? "";
  if (!/^multipart\/form-data\s*;/i.test(type) || type.length > MAX_TYPE) {
    throw noForm(undefined);
  }
  try {
    return new Busboy({
      headers: { "content-type": type },
      limits: {
        files: maxFiles,
        fields: MAX_FIELDS,
        fieldSize: MAX_FIELD_BYTES,
        parts: maxFiles + MAX_FIELDS,
        headerPairs: MAX_HEADER_LINES,
        headerSize: MAX_HEADER_BYTES,
      },
    });
  } catch (error) {
    throw noForm(error);
  }
}

/** Watches that bytes come fast enough. */
class Pace {
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  #sinceMs: number;
  #bytes = 0;

  constructor(clock: Clock, signal: AbortSignal) {
    this.#clock = clock;
    this.#signal = signal;
    this.#sinceMs = clock.nowMs();
  }

  /** @throws {ProtocolError} `receive.slow`. */
  async wait<T extends { readonly value?: Uint8Array | undefined }>(
    reading: Promise<T>,
  ): Promise<T> {
    const leftMs = this.#sinceMs + SLOW_MS - this.#clock.nowMs();
    using limit = deadline(this.#clock, leftMs, tooSlow, this.#signal);
    const next = await raceSignal(reading, limit.signal);
    this.#bytes += next.value?.length ?? 0;
    if (this.#bytes >= LEAST_BYTES) {
      this.#sinceMs = this.#clock.nowMs();
      this.#bytes = 0;
    }
    return next;
  }
}

function noForm(cause: unknown): ProtocolError {
  return new ProtocolError(
    "receive.form",
    "Cannot take files: what came is no form with files, or a broken one",
    { cause },
  );
}

function tooMany(): ProtocolError {
  return new ProtocolError(
    "receive.too_many",
    "Cannot take files: there are too many in one form",
  );
}

function tooSlow(): ProtocolError {
  return new ProtocolError(
    "receive.slow",
    "Cannot take files: they come too slowly",
  );
}
