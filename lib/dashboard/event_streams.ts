/**
 * The tabs that are told of changes, as server-sent events.
 *
 * A browser has six connections to one host for all of its tabs: a session gets fewer
 * streams than that, or its other tabs could not even ask.
 *
 * @module
 */
import { utf8 } from "../base/bytes.ts";
import type { DashboardSession } from "./dashboard_gate.ts";

/** Streams of one session, and of all. */
const MAX_STREAMS_OF_SESSION = 4;
const MAX_STREAMS = 16;
/** Events that wait for a tab that does not read; further ones are left out. */
const MAX_WAITING_EVENTS = 8;

/**
 * Tell one tab, in JSON that is written once for all of them.
 *
 * @returns Whether it was told: not where it does not read.
 */
export type SendEvent = (name: string, json: string) => boolean;

/** What streams tell of. */
export interface StreamSource {
  /** A tab has come: tell it what is known, and what is new, until disposed of. */
  open(send: SendEvent): Disposable;
}

interface OpenStream {
  readonly session: DashboardSession;
  close(): void;
}

/** All open streams. */
export class EventStreams implements Disposable {
  readonly #source: StreamSource;
  readonly #open = new Set<OpenStream>();
  #isClosed = false;

  constructor(source: StreamSource) {
    this.#source = source;
  }

  /** Open one more. @returns `undefined` when there are too many. */
  open(
    session: DashboardSession,
  ): ReadableStream<Uint8Array<ArrayBuffer>> | undefined {
    const ofSession = [...this.#open].filter((other) =>
      other.session === session
    );
    const isFull = this.#open.size >= MAX_STREAMS ||
      ofSession.length >= MAX_STREAMS_OF_SESSION;
    if (isFull || this.#isClosed) return undefined;
    let listening: Disposable | undefined;
    let stream: OpenStream | undefined;
    const end = () => {
      listening?.[Symbol.dispose]();
      if (stream !== undefined) this.#open.delete(stream);
    };
    return new ReadableStream<Uint8Array<ArrayBuffer>>({
      start: (controller) => {
        stream = {
          session,
          close() {
            end();
            controller.close();
          },
        };
        this.#open.add(stream);
        listening = this.#source.open((name, json) => {
          if ((controller.desiredSize ?? 0) <= 0) return false;
          controller.enqueue(utf8(`event: ${name}\ndata: ${json}\n\n`));
          return true;
        });
      },
      cancel: end,
    }, new CountQueuingStrategy({ highWaterMark: MAX_WAITING_EVENTS }));
  }

  /** End all of them. */
  [Symbol.dispose](): void {
    this.#isClosed = true;
    for (const stream of this.#open) stream.close();
  }
}
