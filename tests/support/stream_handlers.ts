/**
 * What services of the tests do with the streams they accept.
 *
 * @module
 */
import { type Clock, sleep } from "../../lib/base/clock.ts";
import type { StreamHandler } from "../../lib/node/host/stream_target.ts";

/** Writes back what it reads. */
export const echo: StreamHandler = async (stream) => {
  stream.accept();
  for (;;) {
    const bytes = await stream.read();
    if (bytes === undefined) break;
    await stream.write(bytes);
  }
  await stream.closeWrite();
};

/** How fast bytes are sent. */
export interface SlowPace {
  readonly pieceBytes: number;
  /** Rest after each piece, ms. */
  readonly restMs: number;
}

/** Sends these bytes, a piece at a time. */
export function sendSlowly(
  clock: Clock,
  bytes: Uint8Array,
  { pieceBytes, restMs }: SlowPace,
): StreamHandler {
  return async (stream) => {
    stream.accept();
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      await stream.write(bytes.subarray(at, at + pieceBytes));
      await sleep(clock, restMs);
    }
    await stream.closeWrite();
  };
}
