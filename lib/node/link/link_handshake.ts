/**
 * The driver of the link handshake: messages of a connection's first stream, the
 * one deadline, and the verification of the peer's record.
 *
 * @see protocol §3.2 "Handshake"
 * @module
 */
import type { PublicKey } from "../../auth/identity.ts";
import type { NodeRecord } from "../../auth/node_record.ts";
import type { RecordVerifier } from "../../auth/record_verifier.ts";
import type { Bytes } from "../../base/bytes.ts";
import type { Clock, Timer } from "../../base/clock.ts";
import { AnonNetError, BugError, UnreachableError } from "../../base/errors.ts";
import {
  type Admission,
  AnswererHandshake,
  type AnswererOptions,
} from "../../link/answerer_handshake.ts";
import { CLOSE_CODE } from "../../link/close_code.ts";
import {
  DiallerHandshake,
  type DiallerOptions,
  RecordRefusedError,
} from "../../link/dialler_handshake.ts";
import type { HandshakeAction, HandshakeResult } from "../../link/handshake.ts";
import { MAX_HANDSHAKE_BYTES } from "../../link/handshake_message.ts";
import type { ByteStream, Connection } from "../../transport/transport.ts";
import { FrameStream } from "./frame_stream.ts";
import { explainRefusal } from "./refused_record.ts";

/** Time for a refusal to arrive before the connection is closed, ms. */
const LINGER_MS = 1000;
/** Time for the peer's close code to arrive after its stream has ended, ms. */
const CLOSE_CODE_WAIT_MS = 100;

/** What a driver needs of the node. */
interface HandshakeDriverOptions {
  readonly clock: Clock;
  readonly verifier: RecordVerifier;
}

/** Decides on a peer that has proven its key. Throws to refuse it. */
type Admit = (
  peerKey: PublicKey,
  record: NodeRecord | undefined,
) => Admission;

/**
 * Shake hands as the dialler. On failure the connection is closed.
 *
 * @throws {RecordDateError} the peer's clock and ours differ: one of them is wrong.
 * @throws {ProtocolError} `link.*`, `wire.*`, `auth.*`: the peer is not who it should be.
 * @throws {UnreachableError} `link.busy`, `link.cut`, `link.handshake_timeout`.
 */
export async function dialHandshake(
  connection: Connection,
  options: HandshakeDriverOptions & DiallerOptions,
): Promise<HandshakeResult> {
  const machine = new DiallerHandshake(options);
  const { clock } = options;
  const run = new HandshakeRun(machine, options, (record) => {
    if (record === undefined) throw new BugError("link.no_record", "No record");
    return machine.onAdmitted(record, clock.nowMs());
  });
  try {
    return await run.finish(() => connection.openStream());
  } catch (error) {
    const told = await closeReason(connection, clock);
    connection.close(CLOSE_CODE.refused);
    const isCut = error instanceof AnonNetError && error.code === "link.cut";
    if (isCut && told !== undefined) throw told;
    throw error instanceof RecordRefusedError
      ? await explainRefusal(error, options)
      : error;
  }
}

/** What the peer said by the way in which it closed the connection. */
async function closeReason(
  connection: Connection,
  clock: Clock,
): Promise<AnonNetError | undefined> {
  const { promise, resolve } = Promise.withResolvers<undefined>();
  const timer = clock.schedule(CLOSE_CODE_WAIT_MS, () => resolve(undefined));
  const info = await Promise.race([connection.closed, promise]);
  timer.cancel();
  if (info?.by !== "remote") return undefined;
  return info.code === CLOSE_CODE.busy
    ? new UnreachableError("link.busy", "Cannot link: the peer has no room")
    : new UnreachableError("link.cut", "Cannot link: the peer hung up");
}

/**
 * Shake hands as the answerer. On failure the connection is closed, once the
 * refusal has had time to arrive.
 *
 * @throws {AnonNetError} as {@linkcode dialHandshake}, and what `admit` throws.
 */
export async function answerHandshake(
  connection: Connection,
  options: HandshakeDriverOptions & AnswererOptions & { readonly admit: Admit },
): Promise<HandshakeResult> {
  const machine = new AnswererHandshake(options);
  const { clock } = options;
  const run = new HandshakeRun(machine, options, (record, peerKey) => {
    const admission = options.admit(peerKey, record);
    return machine.onAdmitted(record, admission, clock.nowMs());
  });
  try {
    return await run.finish(() => connection.acceptStream());
  } catch (error) {
    const isBusy = error instanceof AnonNetError && error.code === "link.busy";
    const code = isBusy ? CLOSE_CODE.busy : CLOSE_CODE.refused;
    const timer = clock.schedule(LINGER_MS, () => connection.close(code));
    await connection.closed;
    timer.cancel();
    throw error;
  }
}

type Machine = DiallerHandshake | AnswererHandshake;

/** Tells the machine of a peer that was verified. Throws to refuse it. */
type OnVerified = (
  record: NodeRecord | undefined,
  peerKey: PublicKey,
) => HandshakeAction[];

/** One handshake under way. */
class HandshakeRun {
  readonly #machine: Machine;
  readonly #clock: Clock;
  readonly #verifier: RecordVerifier;
  readonly #onVerified: OnVerified;
  readonly #done = Promise.withResolvers<HandshakeResult>();
  #over = false;
  #stream: ByteStream | undefined;
  #frames: FrameStream | undefined;
  readonly #unsent: Bytes[] = [];
  #written: Promise<void> = Promise.resolve();
  #timer: Timer | undefined;

  constructor(
    machine: Machine,
    options: HandshakeDriverOptions,
    onVerified: OnVerified,
  ) {
    this.#machine = machine;
    this.#clock = options.clock;
    this.#verifier = options.verifier;
    this.#onVerified = onVerified;
  }

  /** Run it, on the stream that `getStream` gives. */
  async finish(
    getStream: () => Promise<ByteStream | undefined>,
  ): Promise<HandshakeResult> {
    this.#perform(this.#machine.start(this.#clock.nowMs()));
    const { deadlineMs } = this.#machine;
    if (deadlineMs < Infinity) {
      const waitMs = deadlineMs - this.#clock.nowMs();
      this.#timer = this.#clock.schedule(waitMs, () => {
        this.#perform(this.#machine.onTime(this.#clock.nowMs()));
      });
      this.#talk(getStream).catch((error) => this.#fail(error));
    }
    try {
      return await this.#done.promise;
    } finally {
      this.#timer?.cancel();
      // Not before the last message is on its way: neither side has more to say here.
      this.#written.then(() => {
        this.#stream?.closeWrite();
        this.#stream?.cancel();
      });
    }
  }

  async #talk(
    getStream: () => Promise<ByteStream | undefined>,
  ): Promise<void> {
    try {
      const stream = await getStream();
      if (stream === undefined) return this.#onEnd();
      if (this.#over) return stream.cancel();
      this.#stream = stream;
      const frames = new FrameStream(stream, MAX_HANDSHAKE_BYTES);
      this.#frames = frames;
      for (const message of this.#unsent.splice(0)) this.#send(message);
      while (!this.#over) {
        const message = await frames.read();
        if (message === undefined) return this.#onEnd();
        this.#perform(this.#machine.onMessage(message, this.#clock.nowMs()));
      }
    } catch (error) {
      // A frame that is too long is the peer's fault, a lost stream is not.
      if (error instanceof UnreachableError) return this.#onEnd();
      if (!(error instanceof AnonNetError)) throw error;
      this.#refuse(error);
    }
  }

  #onEnd(): void {
    this.#perform(this.#machine.onEnd(this.#clock.nowMs()));
  }

  #refuse(error: AnonNetError): void {
    this.#perform(this.#machine.onRefused(error, this.#clock.nowMs()));
  }

  #perform(actions: readonly HandshakeAction[]): void {
    for (const action of actions) {
      switch (action.type) {
        case "send":
          this.#send(action.message);
          break;
        case "admit":
          this.#verify(action.peerKey, action.record)
            .catch((error) => this.#fail(error));
          break;
        case "established":
          this.#over = true;
          this.#done.resolve(action.result);
          break;
        case "failed":
          this.#fail(action.error);
      }
    }
  }

  #send(message: Bytes): void {
    if (this.#frames === undefined) this.#unsent.push(message);
    // A lost connection is noticed by the reader.
    else this.#written = this.#frames.write(message).catch(() => {});
  }

  async #verify(peerKey: PublicKey, encoded: Bytes | undefined): Promise<void> {
    try {
      const record = encoded === undefined
        ? undefined
        : await this.#verifier.verify(encoded, this.#clock.unixMs());
      if (!this.#over) this.#perform(this.#onVerified(record, peerKey));
    } catch (error) {
      if (!(error instanceof AnonNetError) || error instanceof BugError) {
        throw error;
      }
      this.#refuse(error);
    }
  }

  #fail(error: unknown): void {
    this.#over = true;
    this.#done.reject(error);
  }
}
