/**
 * One meeting with a service, at its client: a circuit that waits with a cookie,
 * an introduction that names it, and the answer.
 *
 *     rendezvous circuit ── establish_rendezvous {cookie} ──▶ waiting
 *     introduction circuit ── introduce1 {cookie, …} ──▶ passed on
 *     rendezvous circuit ◀── rendezvous2 {reply} ── joined: a leg
 *
 * @see protocol §7.4 "Introduction", §7.5 "Rendezvous"
 * @module
 */
import type { PathAvoid } from "../../path/path_avoid.ts";
import type { PublicKey } from "../../auth/identity.ts";
import type { NodeRecord } from "../../auth/node_record.ts";
import { type Bytes, equalSecret, wipe } from "../../base/bytes.ts";
import { raceSignal } from "../../base/clock.ts";
import {
  AnonNetError,
  ProtocolError,
  UnreachableError,
} from "../../base/errors.ts";
import type { AttemptFailure } from "../../service/approach.ts";
import type { IntroductionPoint } from "../../service/descriptor.ts";
import {
  COOKIE_BYTES,
  type Introduction,
  sealIntroduction,
} from "../../service/meeting/introduction.ts";
import {
  encodeEstablishRendezvous,
  RendezvousHandshake,
} from "../../service/meeting/rendezvous.ts";
import { makeTicket } from "../../service/meeting/ticket.ts";
import type { LegNumber } from "../../session/frames.ts";
import { useCircuit } from "../circuit/circuit_use.ts";
import type { ServiceCircuit, WaitLimit } from "../circuit/circuits.ts";
import {
  askPoint,
  type Introduced,
  satisfyPoint,
  type SealedIntroduction,
  type WorkBudget,
} from "./meeting_introduction.ts";
import { namedRelay, type ServiceContext } from "../session/service_context.ts";

/** A circuit that waits for a service. */
export interface WaitingCircuit {
  readonly circuit: ServiceCircuit;
  readonly cookie: Bytes;
  /** Where it waits. */
  readonly point: NodeRecord;
}

/** What a meeting is for. */
export type Purpose =
  /** A session, and in it a stream to this virtual port. */
  | { readonly type: "session"; readonly port: number }
  /** One more leg of a session; each try needs a number of its own. */
  | {
    readonly type: "leg";
    readonly secret: Bytes;
    readonly nextLeg: () => LegNumber;
  };

/** A joined circuit. */
export interface Met {
  readonly circuit: ServiceCircuit;
  /** The leg that it is. */
  readonly leg: LegNumber;
  /** Of a new session; empty for a further leg. */
  readonly secret: Bytes;
}

/** Have a circuit wait with a fresh cookie. @throws {AnonNetError} */
export async function waitAtRendezvous(
  context: ServiceContext,
  avoid: PathAvoid,
  { signal }: WaitLimit,
): Promise<WaitingCircuit> {
  const wish = { purpose: "rendezvous", avoid, signal } as const;
  return await useCircuit(context, wish, async (circuit, limit) => {
    const cookie = context.random.bytes(COOKIE_BYTES);
    const body = encodeEstablishRendezvous(cookie);
    await circuit.ask("establish_rendezvous", body, limit);
    const point = circuit.path.at(-1);
    if (point === undefined) throw new RangeError("A circuit without hops");
    return { circuit, cookie, point };
  });
}

/** Whom to meet, and how. */
export interface MeetingOptions {
  readonly context: ServiceContext;
  readonly point: IntroductionPoint;
  /** The service's blinded key of the descriptor that names the point. */
  readonly blinded: PublicKey;
  readonly purpose: Purpose;
  /** Relays that had better not be on the way. */
  readonly avoid: PathAvoid;
  /** The circuit that waits; it is ours from now on. */
  readonly waiting: Promise<WaitingCircuit>;
  /** What may be computed for the point, shared by all meetings of an approach. */
  readonly budget: WorkBudget;
  /** The point has passed on the introduction. */
  readonly onTaken: () => void;
  readonly signal: AbortSignal;
}

/** Meet the service once. @throws the signal's reason. */
export async function meet(
  options: MeetingOptions,
): Promise<Met | AttemptFailure> {
  const { signal, waiting } = options;
  let met: Met | AttemptFailure = "unreachable";
  try {
    met = await tryToMeet(options);
  } catch (error) {
    signal.throwIfAborted();
    if (!(error instanceof AnonNetError)) throw error;
    met = failureOf(error);
  } finally {
    if (typeof met === "string") {
      waiting.then(({ circuit }) => circuit.close(), () => {});
    }
  }
  return met;
}

async function tryToMeet(
  options: MeetingOptions,
): Promise<Met | AttemptFailure> {
  const { context, point, signal } = options;
  const { record } = await namedRelay(context, point.relay);
  // While the circuit to the point is being built.
  const preparing = raceSignal(prepare(options), signal);
  preparing.catch(() => {}); // heard of below, or not at all
  try {
    const status = await introduce(options, record, preparing);
    const { circuit, talk, unknown } = await preparing;
    if (status !== "passed") return status;
    options.onTaken();
    const reply = await circuit.met({ signal });
    const secret = await talk.finish(reply, unknown);
    return { circuit, leg: talk.leg, secret };
  } finally {
    preparing.then(({ talk }) => talk[Symbol.dispose](), () => {});
  }
}

/** What an introduction takes. */
interface Prepared {
  /** The circuit that waits. */
  readonly circuit: ServiceCircuit;
  readonly talk: Talk;
  readonly introduction: SealedIntroduction;
  /** The answer to a ticket of a session that the service does not know. */
  readonly unknown: Bytes;
}

async function prepare(options: MeetingOptions): Promise<Prepared> {
  const { crypto, random } = options.context;
  const { point: { keys }, blinded } = options;
  const { circuit, cookie, point } = await options.waiting;
  const talk = await Talk.start(options, cookie);
  const sent = await sealIntroduction(crypto, random, keys, blinded, {
    cookie,
    rendezvous: point.encoded,
    ...talk.request,
  });
  const { authentication } = keys;
  const { sealed, unknown } = sent;
  const introduction = { authentication, sealed };
  return { circuit, talk, introduction, unknown };
}

/** Have the point pass it on. By a second circuit the service still takes it once. */
async function introduce(
  { context, avoid, budget, signal }: MeetingOptions,
  endAt: NodeRecord,
  preparing: Promise<Prepared>,
): Promise<Introduced> {
  const wish = { purpose: "introduction", endAt, avoid, signal } as const;
  const asked = await useCircuit(context, wish, async (circuit, limit) => {
    const [prepared] = await Promise.allSettled([preparing]);
    // Its failure is not this circuit's: its own caller will hear of it.
    if (prepared.status === "rejected") {
      return { circuit, answer: { status: "unknown" } } as const;
    }
    const { introduction } = prepared.value;
    const answer = await askPoint(context, circuit, introduction, limit);
    return { circuit, answer };
  });
  const { circuit, answer } = asked;
  try {
    if (answer.status !== "work") return answer.status;
    const { introduction } = await preparing;
    return await satisfyPoint(
      context,
      circuit,
      introduction,
      answer,
      budget,
      { signal },
    );
  } finally {
    circuit.close();
  }
}

/** Our half of what passes between client and service during a meeting. */
class Talk implements Disposable {
  readonly request: Pick<Introduction, "handshake" | "port" | "ticket">;
  readonly leg: LegNumber;
  readonly #handshake: RendezvousHandshake | undefined;

  private constructor(
    request: Talk["request"],
    handshake: RendezvousHandshake | undefined,
  ) {
    this.request = request;
    this.leg = request.ticket?.leg ?? 0;
    this.#handshake = handshake;
  }

  static async start(
    { context, point, blinded, purpose }: MeetingOptions,
    cookie: Bytes,
  ): Promise<Talk> {
    const { crypto, random } = context;
    if (purpose.type === "leg") {
      const leg = purpose.nextLeg();
      const ticket = makeTicket(crypto, purpose.secret, leg, cookie);
      return new Talk({ ticket }, undefined);
    }
    const handshake = await RendezvousHandshake.start(
      crypto,
      random,
      point.keys,
      blinded,
      cookie,
    );
    const { port } = purpose;
    return new Talk({ handshake: handshake.request, port }, handshake);
  }

  /**
   * @param unknown What the service says to a ticket that is of no session there.
   * @throws {ProtocolError} `service.rendezvous_reply`.
   * @throws {UnreachableError} `service.session_lost`.
   */
  async finish(reply: Uint8Array, unknown: Bytes): Promise<Bytes> {
    if (this.#handshake !== undefined) {
      return await this.#handshake.finish(reply);
    }
    if (equalSecret(reply, unknown)) {
      throw new UnreachableError(
        "service.session_lost",
        "Cannot add a leg: the service does not know the session",
      );
    }
    // It answers nothing to a ticket that is right: no other answer is its own.
    if (reply.length > 0) {
      throw new ProtocolError(
        "service.rendezvous_reply",
        "Cannot meet service: its answer to a ticket is wrong",
      );
    }
    return new Uint8Array(0);
  }

  [Symbol.dispose](): void {
    this.#handshake?.abandon();
    if (this.request.ticket !== undefined) wipe(this.request.ticket.proof);
  }
}

function failureOf(error: AnonNetError): AttemptFailure {
  switch (error.code) {
    case "service.rendezvous_reply":
      return "wrong_answer";
    case "service.session_lost":
      return "session_lost";
    default:
      return "unreachable";
  }
}
