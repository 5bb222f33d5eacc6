/**
 * The response to a request, from the bytes of a service: its head, past those that
 * come in the interim.
 *
 *     [1xx …]  head          body
 *     └─ readResponseHead ─┘ └─ stays in the source
 *
 * @see protocol §8.4 "HTTP"
 * @module
 */
import { ProtocolError, UnreachableError } from "../base/errors.ts";
import type { ByteSource } from "./byte_source.ts";
import { readHead } from "./head.ts";
import { decodeResponseHead, type ResponseHead } from "./response.ts";

/** Interim responses to one request. Against a service that sends them for ever. */
const MAX_INTERIM_RESPONSES = 16;

/** What a response is read with. */
export interface ResponseReading {
  /** Of the request: it decides whether there is a body. */
  readonly method: string;
  /** Whether a 101 changes to the protocol that the request asked for. */
  readonly isSwitch: (response: ResponseHead) => boolean;
  /** The service has sent something: the request must not be repeated. */
  readonly onHeard: () => void;
  /** An interim response; the next one is read when it has been dealt with. */
  readonly onInterim: (response: ResponseHead) => Promise<void> | void;
}

/**
 * Wait for the head of the final response.
 *
 * @throws {UnreachableError} `service.bad_response` where what comes is none. What the
 * source throws.
 */
export async function readResponseHead(
  source: ByteSource,
  { method, isSwitch, onHeard, onInterim }: ResponseReading,
): Promise<ResponseHead> {
  const more = async () => {
    const isMore = await source.more();
    if (isMore) onHeard();
    return isMore;
  };
  for (let count = 0; count <= MAX_INTERIM_RESPONSES; count++) {
    const response = await readOne(source, method, more);
    if (response.status >= 200) return response;
    if (response.status === 101) {
      if (isSwitch(response)) return response;
      throw badResponse(
        "a change of protocol that the request did not ask for",
      );
    }
    await onInterim(response);
  }
  throw badResponse("interim responses without end");
}

async function readOne(
  source: ByteSource,
  method: string,
  more: () => Promise<boolean>,
): Promise<ResponseHead> {
  try {
    const head = await readHead(source, "tolerant", more);
    if (head === undefined) throw badResponse("nothing at all");
    const response = decodeResponseHead(head, method);
    source.take(head.length);
    return response;
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    throw badResponse("no HTTP", error);
  }
}

function badResponse(why: string, cause?: unknown): UnreachableError {
  return new UnreachableError(
    "service.bad_response",
    `Cannot use the response: ${why}`,
    { cause },
  );
}
