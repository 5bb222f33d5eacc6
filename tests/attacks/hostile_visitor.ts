/**
 * A visitor of a service that writes its cells by hand, and an honest one beside
 * it: both have a session of one process, in which all share one quota.
 */
import assert from "node:assert/strict";
import { nativeSuite } from "../../lib/crypto/native.ts";
import {
  type ControlFrame,
  controlFrameBytes,
  DATA_HEADER_BYTES,
  encodeControlFrame,
  encodeDataHeader,
  FRAME_SPACE_BYTES,
} from "../../lib/session/frames.ts";
import { Leg, SESSION_CELL_BYTES } from "../../lib/session/leg.ts";
import type { SessionQuota } from "../../lib/session/quota.ts";
import { Session } from "../../lib/session/session.ts";
import type { SessionEvent } from "../../lib/session/session_event.ts";
import { SessionPair } from "../session/session_pair.ts";

/** Whether the attacks run at the size at which they were found, and not at a sixteenth. */
export const isFullSize = Deno.env.get("ATTACK_SCALE") === "full";

/** Bytes of a stream, to be sent. */
export interface DataFrame {
  readonly type: "data";
  readonly id: number;
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** The service's end of one session, and a client that does as it likes. */
export class HostileVisitor {
  /** At the service. */
  readonly session: Session;
  /** Streams that the service has been asked to open. */
  opened = 0;
  cells = 0;
  readonly #peer: Leg;

  constructor(quota: SessionQuota, nowMs = 0) {
    const crypto = nativeSuite();
    const secret = new Uint8Array(32).fill(9);
    this.session = new Session(
      { crypto, role: "service", secret, quota },
      nowMs,
    );
    this.session.addLeg(0, nowMs);
    this.#peer = new Leg(crypto, secret, 0, "client", nowMs);
  }

  /** Send frames, in as few cells as hold them. @throws what the service throws at one of them. */
  send(frames: Iterable<ControlFrame | DataFrame>, nowMs: number): void {
    let cell = new Uint8Array(SESSION_CELL_BYTES);
    let at = 0;
    const flush = () => {
      this.#peer.seal(cell);
      this.cells++;
      this.take(this.session.onCell(0, cell, nowMs));
      cell = new Uint8Array(SESSION_CELL_BYTES);
      at = 0;
    };
    for (const frame of frames) {
      const bytes = frame.type === "data"
        ? DATA_HEADER_BYTES + frame.bytes.length
        : controlFrameBytes(frame);
      if (at + bytes > FRAME_SPACE_BYTES) flush();
      if (frame.type === "data") {
        const { id, offset, bytes } = frame;
        at = encodeDataHeader(cell, at, id, offset, bytes.length);
        cell.set(bytes, at);
        at += bytes.length;
      } else at = encodeControlFrame(frame, cell, at);
    }
    if (at > 0) flush();
  }

  /** The service's clock. */
  onTime(nowMs: number): void {
    this.take(this.session.onTime(nowMs));
  }

  take(events: readonly SessionEvent[]): void {
    for (const { type } of events) if (type === "opened") this.opened++;
  }
}

/** What an honest newcomer reached. */
export interface Visit {
  /** Bytes per ms of virtual time, up and down together. */
  readonly goodput: number;
  /** Streams that broke. */
  readonly broken: number;
}

const VISIT_BYTES = 2_000_000;
const VISIT_LIMIT_MS = 60_000;

/**
 * A newcomer fetches and sends 2 MB on streams of its own, over a leg of 100 ms.
 *
 * @param attack Called every 10 ms of it.
 */
export function visit(
  quota: SessionQuota,
  attack: (nowMs: number) => void,
): Visit {
  const pair = new SessionPair({ quota });
  pair.addLeg(0, { latencyMs: 50, cellsPerMs: 2 });
  const open = () => {
    const id = pair.client.session.openStream(80, pair.nowMs);
    assert.ok(id !== undefined);
    return id;
  };
  const [up, down] = [open(), open()];
  const tick = () => {
    attack(pair.nowMs);
    pair.at(pair.nowMs + 10, tick);
  };
  pair.at(0, tick);
  const bytes = new Uint8Array(VISIT_BYTES);
  pair.client.write(up, bytes);
  pair.run(() => pair.service.opened.has(down), VISIT_LIMIT_MS);
  pair.service.write(down, bytes);
  const broken = () => pair.client.resets.size + pair.service.resets.size;
  pair.run(
    () =>
      pair.service.ended.has(up) && pair.client.ended.has(down) || broken() > 0,
    VISIT_LIMIT_MS,
  );
  const moved = pair.service.bytesOf(up).length +
    pair.client.bytesOf(down).length;
  return { goodput: moved / pair.nowMs, broken: broken() };
}

/** A newcomer gets half of what it gets in quiet, and nothing of it breaks. */
export function assertServed(
  quota: SessionQuota,
  attack: (nowMs: number) => void,
  quietQuota: SessionQuota,
): void {
  const quiet = visit(quietQuota, () => {});
  const attacked = visit(quota, attack);
  const share = attacked.goodput / quiet.goodput;
  const percent = `${Math.round(100 * share)} % of its quiet goodput`;
  assert.equal(attacked.broken, 0, `broken off at ${percent}`);
  assert.ok(share >= 0.5, `a newcomer gets ${percent}`);
}
