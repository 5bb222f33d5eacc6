/**
 * The tabs that are told of changes, as server-sent events.
 *
 *     event: snapshot      what the node does, every other second
 *     event: history       the rings, every ten seconds
 *     event: log           lines that are new, as a list
 *
 * A browser has six connections to one host for all of its tabs: a session gets fewer
 * streams than that, or its other tabs could not even ask.
 *
 * @module
 */
import { utf8 } from "../base/bytes.ts";
import type { JsonValue } from "../control/json.ts";
import type { LogTail, TailLine } from "../log/log_tail.ts";
import type { DashboardSession } from "./dashboard_gate.ts";
import type { Sampler } from "./sampler.ts";

/** Streams of one session, and of all. */
const MAX_STREAMS_OF_SESSION = 4;
const MAX_STREAMS = 16;
/** Events that wait for a tab that does not read; further ones are left out. */
const MAX_WAITING_EVENTS = 8;

/** What streams tell of. */
export interface StreamSources {
  readonly sampler: Sampler;
  readonly tail: Pick<LogTail, "after"> | undefined;
}

interface OpenStream {
  readonly session: DashboardSession;
  close(): void;
}

/** All open streams. */
export class EventStreams implements Disposable {
  readonly #sources: StreamSources;
  readonly #open = new Set<OpenStream>();
  #isClosed = false;

  constructor(sources: StreamSources) {
    this.#sources = sources;
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
    const { sampler, tail } = this.#sources;
    let listening: Disposable | undefined;
    let stream: OpenStream | undefined;
    let lastLine = 0;
    const end = () => {
      listening?.[Symbol.dispose]();
      if (stream !== undefined) this.#open.delete(stream);
    };
    return new ReadableStream<Uint8Array<ArrayBuffer>>({
      start: (controller) => {
        const send = (name: string, data: JsonValue) => {
          if ((controller.desiredSize ?? 0) <= 0) return false;
          const text = `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;
          controller.enqueue(utf8(text));
          return true;
        };
        const sendLog = () => {
          const lines = tail?.after(lastLine) ?? [];
          const last = lines.at(-1);
          if (last === undefined) return;
          if (send("log", linesOf(lines))) lastLine = last.number;
        };
        stream = {
          session,
          close() {
            end();
            controller.close();
          },
        };
        this.#open.add(stream);
        send("history", sampler.history());
        sendLog();
        listening = sampler.listen({
          onSnapshot(snapshot) {
            send("snapshot", snapshot);
            sendLog();
          },
          onHistory: (history) => void send("history", history),
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

/** Lines as the pages take them. */
export function linesOf(lines: readonly TailLine[]): JsonValue {
  return lines.map(({ number, json }) => ({ number, json }));
}
