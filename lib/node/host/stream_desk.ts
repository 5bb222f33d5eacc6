/**
 * Takes the streams of one service's clients to their targets, within limits.
 *
 * @see protocol §7.6 "Legs, and staying reachable"
 * @module
 */
import type { Bytes } from "../../base/bytes.ts";
import type { Clock } from "../../base/clock.ts";
import { ConfigError } from "../../base/errors.ts";
import { Places } from "../../base/places.ts";
import type { TaskSet } from "../../base/task_set.ts";
import { proxyLine, type SessionMark } from "../../wire/proxy_line.ts";
import { RESET_CODE } from "../../session/stream.ts";
import type { WaitLimit } from "../circuit/circuits.ts";
import type { SessionStreamHandle } from "../session/session_stream.ts";
import { serveStream } from "./serve_stream.ts";
import type { StreamTarget } from "./stream_target.ts";
import { announcing, type TargetDial } from "./target_dial.ts";
import type { TargetLog } from "./target_log.ts";

/** Streams of one service that are served at once: each takes a socket. */
export const MAX_SERVED = 4096;
/** Streams of one session that are served at once, unless the operator says otherwise. */
export const DEFAULT_MAX_STREAMS = 1024;

/**
 * Refuse a limit that no session could have.
 *
 * @param maxStreams Streams of one session that are served at once.
 * @param word How the operator wrote it.
 * @throws {ConfigError} `service.max_streams`.
 */
export function checkMaxStreams(
  maxStreams: number,
  word = String(maxStreams),
): void {
  const isCount = Number.isInteger(maxStreams);
  if (isCount && maxStreams >= 1 && maxStreams <= MAX_SERVED) return;
  throw new ConfigError(
    "service.max_streams",
    `Cannot limit the streams of a session to "${word}": write a whole number from ` +
      `1 to ${MAX_SERVED}`,
  );
}

/** Where streams lead. */
export interface StreamDeskOptions {
  readonly clock: Clock;
  /** By virtual port. */
  readonly targets: ReadonlyMap<number, StreamTarget>;
  readonly dial: TargetDial;
  /** Whether targets that are dialled are told first which session a stream is of. */
  readonly proxyProtocol: boolean;
  /** Streams of one session that are served at once; others are reset. */
  readonly maxStreams: number;
  /** Hears of streams whose target failed. */
  readonly targetLog: TargetLog;
}

/** What one session has been given. */
class Share {
  readonly places: Places;
  /** Streams there ever were. */
  streams = 0;

  constructor(maxStreams: number) {
    this.places = new Places(maxStreams);
  }
}

/** The streams of one service that are being served. */
export class StreamDesk {
  readonly #options: StreamDeskOptions;
  readonly #tasks: TaskSet;
  readonly #limit: WaitLimit;
  readonly #served = new Places(MAX_SERVED);
  readonly #shares = new WeakMap<SessionMark, Share>();

  /**
   * @param tasks Owns what serves the streams.
   * @param limit Ends all of it.
   */
  constructor(options: StreamDeskOptions, tasks: TaskSet, limit: WaitLimit) {
    this.#options = options;
    this.#tasks = tasks;
    this.#limit = limit;
  }

  /** Serve a stream, or reset it. @param session Whose it is: the same for all of it. */
  serve(stream: SessionStreamHandle, port: number, session: SessionMark): void {
    const { clock, targets, targetLog, maxStreams } = this.#options;
    const target = targets.get(port);
    if (target === undefined) return stream.abort(RESET_CODE.noSuchPort);
    const share = this.#shares.getOrInsertComputed(
      session,
      () => new Share(maxStreams),
    );
    if (!share.places.take()) return stream.abort(RESET_CODE.exhausted);
    if (!this.#served.take()) {
      share.places.give();
      return stream.abort(RESET_CODE.exhausted);
    }
    const line = proxyLine(session, ++share.streams, port);
    const dial = this.#dialWith(line);
    const { signal } = this.#limit;
    this.#tasks.run(
      serveStream(stream, target, { clock, dial, signal }).catch((error) => {
        targetLog.onFailure(port, target, error);
        throw error;
      }).finally(() => {
        share.places.give();
        this.#served.give();
      }),
    );
  }

  #dialWith(line: Bytes): TargetDial {
    const { dial, proxyProtocol } = this.#options;
    return proxyProtocol ? announcing(dial, line) : dial;
  }
}
