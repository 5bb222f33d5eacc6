/**
 * Sessions with a peer that holds their secret: frames of one cell, and both ends'
 * machines fed with runs of cells that are mutated before they are sealed.
 *
 * @module
 */
import { type Bytes, concat } from "../../../lib/base/bytes.ts";
import { ProtocolError } from "../../../lib/base/errors.ts";
import { nativeSuite } from "../../../lib/crypto/native.ts";
import {
  type ControlFrame,
  decodeFrames,
  encodeControlFrame,
  encodeDataHeader,
  FRAME_SPACE_BYTES,
} from "../../../lib/session/frames.ts";
import {
  Leg,
  SESSION_CELL_BYTES,
  type SessionRole,
} from "../../../lib/session/leg.ts";
import { SessionQuota } from "../../../lib/session/quota.ts";
import { Session } from "../../../lib/session/session.ts";
import type { SessionEvent } from "../../../lib/session/session_event.ts";
import {
  decodeStep,
  encodeStep,
  type FuzzInput,
  type FuzzTarget,
  promise,
} from "../fuzz_target.ts";
import { decoderTarget } from "./decoder_target.ts";

const CRYPTO = nativeSuite();
const SECRET = new Uint8Array(32).fill(9);

type Frame =
  | ControlFrame
  | {
    readonly type: "data";
    readonly id: number;
    readonly offset: number;
    readonly bytes: Uint8Array;
  };

/** Frames as they stand in a cell, without padding. */
function encodeFrames(frames: readonly Frame[]): Bytes {
  const cell = new Uint8Array(FRAME_SPACE_BYTES);
  let at = 0;
  for (const frame of frames) {
    if (frame.type === "data") {
      const { id, offset, bytes } = frame;
      at = encodeDataHeader(cell, at, id, offset, bytes.length);
      cell.set(bytes, at);
      at += bytes.length;
    } else at = encodeControlFrame(frame, cell, at);
  }
  return cell.slice(0, at);
}

const HELLO = new Uint8Array(40).fill(0x61);
const OFFER: Frame = {
  type: "legOffer",
  leg: 1,
  cookie: new Uint8Array(20).fill(1),
  rendezvous: new Uint8Array(100).fill(2),
};

/** Cells of honest clients, frame by frame. */
const CELLS: readonly (readonly Frame[])[] = [
  [{ type: "streamOpen", id: 1, port: 80 }],
  [{ type: "streamOpen", id: 2, port: 80 }, {
    type: "data",
    id: 2,
    offset: 0,
    bytes: HELLO,
  }],
  [{ type: "data", id: 1, offset: 40, bytes: HELLO }],
  [{ type: "data", id: 1, offset: 0, bytes: HELLO }],
  [{ type: "data", id: 1, offset: 80, bytes: new Uint8Array(3900) }],
  [{ type: "streamWindow", id: 1, max: 2 ** 20 }],
  [{ type: "ack", leg: 0, cells: 1, delayMs: 3 }],
  [{ type: "ack", leg: 0, cells: 2, delayMs: 0 }, { type: "ping" }],
  [OFFER],
  [{ type: "streamFin", id: 1, offset: 3980 }],
  [{ type: "streamReset", id: 2, code: 1 }],
  [{ type: "legClose", leg: 1 }],
  [{ type: "sessionClose", code: 0 }],
];

/** Frames that clients alone send. */
const OF_CLIENTS: ReadonlySet<string> = new Set(["streamOpen", "legOffer"]);

/** What one end sends, cell by cell. */
export function honestCells(sender: SessionRole): Bytes[] {
  return CELLS
    .map((frames) =>
      frames.filter(({ type }) => sender === "client" || !OF_CLIENTS.has(type))
    )
    .filter((frames) => frames.length > 0)
    .map(encodeFrames);
}

const FRAMES = decoderTarget({
  name: "session/frames",
  about: "the frames of one cell",
  allowed: ["session"],
  seeds: () => [
    ...CELLS.map(encodeFrames),
    encodeFrames(CELLS.slice(0, 4).flat()),
    concat(encodeFrames([{ type: "ping" }]), new Uint8Array(20)),
  ],
  decode: (bytes) => {
    const frames: Frame[] = [];
    decodeFrames(bytes.subarray(0, FRAME_SPACE_BYTES), {
      onStreamData: (id, offset, bytes) =>
        frames.push({ type: "data", id, offset, bytes: bytes.slice() }),
      onControlFrame: (frame) => frames.push(frame),
    });
    return frames;
  },
  check: (frames, bytes) => {
    const again = encodeFrames(frames);
    promise(
      bytes.subarray(0, FRAME_SPACE_BYTES).every((byte, index) =>
        byte === (again[index] ?? 0)
      ),
      "another encoding of frames was accepted",
    );
  },
  word: (frames) =>
    [...new Set(frames.map(({ type }) => type))].sort().slice(0, 3).join(" "),
});

/** What the machine under test and its driver do beside taking cells. */
const KIND = {
  cell: 0,
  read: 1,
  write: 2,
  finish: 3,
  reset: 4,
  leg: 5,
  time: 6,
};
const KINDS = Object.keys(KIND).length;

/** An honest run: cells, and what the driver does between them. */
function honestRuns(receiver: SessionRole): FuzzInput[] {
  const sender = receiver === "client" ? "service" : "client";
  const cells = honestCells(sender).map((cell) =>
    encodeStep(KIND.cell, cell, 20)
  );
  const read = encodeStep(KIND.read, Uint8Array.of(0));
  const write = encodeStep(KIND.write, Uint8Array.of(0, 200));
  const flood = Array.from(
    { length: 40 },
    (_, n) =>
      encodeStep(
        KIND.cell,
        encodeFrames(
          Array.from({ length: 100 }, (_, i) => ({
            type: "data" as const,
            id: 1,
            offset: (n * 100 + i) * 2,
            bytes: HELLO.subarray(0, 1),
          })),
        ),
        1,
      ),
  );
  const rapid = Array.from({ length: 60 }, (_, n): Frame[] => [
    { type: "streamOpen", id: n + 1, port: 80 },
    { type: "streamReset", id: n + 1, code: 0 },
  ]);
  return [
    cells,
    cells.flatMap((cell) => [cell, read, write]),
    [cells[0] ?? read, write, encodeStep(KIND.finish, Uint8Array.of(0)), read],
    [...cells.slice(0, 3), encodeStep(KIND.reset, Uint8Array.of(0)), read],
    [encodeStep(KIND.leg, Uint8Array.of(1)), ...cells],
    [cells[0] ?? read, ...flood],
    [encodeStep(KIND.cell, encodeFrames(rapid.flat()))],
    [write, encodeStep(KIND.time, read, 40_000), ...cells.slice(5)],
  ];
}

/** What a process lets all its sessions hold in these runs. */
const QUOTA_BYTES = 8 * 1024 * 1024;
/** Cells that a driver builds after each step at most. */
const MAX_BUILT = 64;

/** One session at work, and a peer that may seal what it likes. */
class Run {
  readonly #session: Session;
  readonly #quota = new SessionQuota(QUOTA_BYTES);
  readonly #peers = new Map<number, Leg>();
  readonly #role: SessionRole;
  readonly #words = new Set<string>();
  readonly #opened: number[] = [];
  /** Streams on which our driver writes no more. */
  readonly #finished = new Set<number>();
  #nowMs = 0;

  constructor(role: SessionRole) {
    this.#role = role;
    const quota = this.#quota;
    this.#session = new Session(
      { crypto: CRYPTO, role, secret: SECRET, quota },
      0,
    );
    this.#addLeg(0);
    if (role === "client") {
      for (let stream = 0; stream < 2; stream++) {
        const id = this.#session.openStream(80, 0);
        if (id !== undefined) this.#opened.push(id);
      }
    }
  }

  play(input: FuzzInput): string {
    for (const bytes of input) {
      const { kind, delayMs, body } = decodeStep(bytes, KINDS);
      this.#wait(delayMs);
      try {
        this.#do(kind, body);
      } catch (error) {
        if (!(error instanceof ProtocolError)) throw error;
        this.#words.add(error.code);
        break; // the driver closes the session, or gives up the leg
      }
      this.#flush();
      promise(
        this.#quota.usedBytes <= QUOTA_BYTES + SESSION_CELL_BYTES * 64,
        `sessions hold ${this.#quota.usedBytes} bytes of ${QUOTA_BYTES}`,
      );
    }
    this.#end();
    return [...this.#words].sort().join(" ");
  }

  #do(kind: number, body: Bytes): void {
    const session = this.#session;
    const id =
      this.#opened[(body[0] ?? 0) % Math.max(1, this.#opened.length)] ??
        0;
    switch (kind) {
      case KIND.cell:
        return this.#onCell(body);
      case KIND.read:
        return void session.read(id, this.#nowMs);
      case KIND.write:
        if (this.#finished.has(id)) return;
        return void session.streams.write(
          id,
          new Uint8Array((body[1] ?? 1) * 100),
        );
      case KIND.finish:
        this.#finished.add(id);
        return session.streams.finish(id);
      case KIND.reset:
        return session.streams.reset(id, body[1] ?? 0);
      case KIND.leg:
        return this.#addLeg(session.nextLegNumber);
    }
  }

  /** Seal what the peer would say, on the newest leg or the first. */
  #onCell(body: Bytes): void {
    const numbers = this.#session.legNumbers;
    const number = numbers[(body.at(-1) ?? 0) % Math.max(1, numbers.length)];
    const peer = this.#peers.get(number ?? -1);
    if (number === undefined || peer === undefined) return;
    const cell = new Uint8Array(SESSION_CELL_BYTES);
    cell.set(body.subarray(0, FRAME_SPACE_BYTES));
    peer.seal(cell);
    this.#take(this.#session.onCell(number, cell, this.#nowMs));
  }

  #addLeg(number: number): void {
    if (number > 60_000) return;
    const other = this.#role === "client" ? "service" : "client";
    this.#session.addLeg(number, this.#nowMs);
    this.#peers.set(
      number,
      new Leg(CRYPTO, SECRET, number, other, this.#nowMs),
    );
  }

  /** Let time pass, and serve each deadline on the way. */
  #wait(delayMs: number): void {
    const untilMs = this.#nowMs + delayMs;
    for (let turns = 0; this.#session.deadlineMs <= untilMs; turns++) {
      promise(turns < 20_000, "its deadlines never end");
      this.#nowMs = Math.max(this.#nowMs, this.#session.deadlineMs);
      this.#take(this.#session.onTime(this.#nowMs));
      this.#flush();
    }
    this.#nowMs = untilMs;
  }

  #flush(): void {
    for (let built = 0; built < MAX_BUILT; built++) {
      const cell = new Uint8Array(SESSION_CELL_BYTES);
      const isBuilt = this.#session.legNumbers.some((number) =>
        this.#session.buildCell(number, cell, this.#nowMs)
      );
      this.#take(this.#session.takeEvents());
      if (!isBuilt) return;
    }
  }

  #take(events: readonly SessionEvent[]): void {
    for (const event of events) {
      this.#words.add(event.type);
      if (event.type === "opened" && this.#opened.length < 1000) {
        this.#opened.push(event.id);
      }
    }
  }

  /** The peer is gone: nothing may be left of it. */
  #end(): void {
    this.#session.close(0);
    this.#flush();
    for (const number of [...this.#session.legNumbers]) {
      this.#session.removeLeg(number, this.#nowMs);
    }
    this.#session.wipe();
    promise(
      this.#quota.usedBytes === 0,
      `${this.#quota.usedBytes} bytes are still counted at the end`,
    );
    promise(this.#session.streamCount === 0, "streams are left at the end");
  }
}

function machine(role: SessionRole): FuzzTarget {
  return {
    name: `session/${role}`,
    about:
      `the ${role}'s end of a session: cells of a peer that holds its secret`,
    hasSteps: true,
    allowed: [],
    cpu: { baseMs: 60, perKibMs: 4 },
    seeds: () => honestRuns(role),
    run: (input) => new Run(role).play(input),
  };
}

/** Targets of sessions. */
export const SESSION_TARGETS: readonly FuzzTarget[] = [
  FRAMES,
  machine("service"),
  machine("client"),
];
