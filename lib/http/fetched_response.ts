/**
 * A response as `fetch` gives it: it knows where it came from, and its headers are
 * what was sent. The constructor of `Response` can make neither.
 *
 * @see {@link https://fetch.spec.whatwg.org/#responses | Fetch §2.2.6}
 * @module
 */
import type { Bytes } from "../base/bytes.ts";
import type { HttpField } from "./head.ts";

/** Where a response came from, and what it says. */
export interface FetchedResponseInit {
  readonly status: number;
  readonly reason: string;
  readonly fields: readonly Pick<HttpField, "name" | "value">[];
  /** Of the last request; its fragment is left out. */
  readonly url: URL;
  /** Whether a redirect led there. */
  readonly redirected: boolean;
}

/** A response of a service. */
export class FetchedResponse extends Response {
  readonly #init: FetchedResponseInit;
  readonly #headers: Headers;

  /** Made by `HttpClient.fetch`. */
  constructor(
    body: ReadableStream<Bytes> | Bytes | null,
    init: FetchedResponseInit,
  ) {
    const headers = init.fields.map(({ name, value }) =>
      [name, value] as [string, string]
    );
    super(body, { status: init.status, statusText: init.reason, headers });
    this.#init = init;
    this.#headers = new ReceivedHeaders(headers);
  }

  override get url(): string {
    return this.#init.url.href.split("#")[0] ?? "";
  }

  override get redirected(): boolean {
    return this.#init.redirected;
  }

  override get type(): ResponseType {
    return "basic";
  }

  override get headers(): Headers {
    return this.#headers;
  }

  /** @throws {TypeError} when its body has been used. */
  override clone(): FetchedResponse {
    return new FetchedResponse(super.clone().body, this.#init);
  }
}

/** Headers that were received: nothing can be changed in them. */
class ReceivedHeaders extends Headers {
  override append(): void {
    throw immutable();
  }

  override delete(): void {
    throw immutable();
  }

  override set(): void {
    throw immutable();
  }
}

function immutable(): TypeError {
  return new TypeError("Cannot change headers: they are those of a response");
}
