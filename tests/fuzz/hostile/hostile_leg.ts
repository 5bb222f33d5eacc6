import type { Bytes } from "../../../lib/base/bytes.ts";
import type { CryptoSuite } from "../../../lib/crypto/suite.ts";
import type { CellPort } from "../../../lib/node/circuit/leg_carrier.ts";
import { FRAME_SPACE_BYTES } from "../../../lib/session/frames.ts";
import {
  Leg,
  SESSION_CELL_BYTES,
  type SessionRole,
} from "../../../lib/session/leg.ts";

/** Cells that wait to be sent; more are dropped. */
const MAX_WAITING = 500;

/** One end of a leg that says what it is told to, and listens to nothing. */
export class HostileLeg implements CellPort {
  readonly #peer: Leg;
  readonly #waiting: Bytes[] = [];
  /** Cells that came. */
  heard = 0;

  constructor(crypto: CryptoSuite, secret: Uint8Array, role: SessionRole) {
    this.#peer = new Leg(crypto, secret, 0, role, 0);
  }

  /** Seal a cell with these frames, or what stands in place of them. */
  say(frames: Uint8Array): void {
    if (this.#waiting.length >= MAX_WAITING) return;
    const cell = new Uint8Array(SESSION_CELL_BYTES);
    cell.set(frames.subarray(0, FRAME_SPACE_BYTES));
    this.#peer.seal(cell);
    this.#waiting.push(cell);
  }

  fill(body: Uint8Array): boolean {
    const next = this.#waiting.shift();
    if (next !== undefined) body.set(next);
    return next !== undefined;
  }

  onCell(): void {
    this.heard++;
  }
}
