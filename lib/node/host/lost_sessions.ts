/**
 * Tells clients that the service does not know the session that they want a leg
 * of: it has crashed and was started anew, or gave the session up.
 *
 *     ticket of no session here ─▶ rendezvous1 {unknown} ─▶ the client closes
 *                                                   └─ 5 s ─▶ so do we
 *
 * @see protocol §7.6 "Legs, and staying reachable"
 * @module
 */
import type { Clock, Timer } from "../../base/clock.ts";
import type { OpenedIntroduction } from "../../service/meeting/introduction.ts";
import { encodeRendezvous1 } from "../../service/meeting/rendezvous.ts";
import type { ServiceCircuit } from "../circuit/circuits.ts";

/** How long a circuit lives after its client was told, ms: the client closes it. */
const TOLD_MS = 5_000;
/** Circuits whose clients have been told, at most; the oldest goes for another. */
export const MAX_TOLD = 64;

type MeetingCircuit = Pick<ServiceCircuit, "meet" | "close" | "closed">;

/** Circuits of clients that have been told. */
export class LostSessions implements Disposable {
  readonly #clock: Clock;
  /** The oldest first. */
  readonly #told = new Map<MeetingCircuit, Timer>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Tell a client, by a circuit to the relay where it waits. */
  tell(
    { cookie, unknown }: Pick<OpenedIntroduction, "cookie" | "unknown">,
    circuit: MeetingCircuit,
  ): void {
    circuit.meet(encodeRendezvous1(cookie, unknown));
    const [oldest] = this.#told.keys();
    if (this.#told.size >= MAX_TOLD && oldest !== undefined) {
      this.#forget(oldest);
      oldest.close();
    }
    const timer = this.#clock.schedule(TOLD_MS, () => circuit.close(), {
      keepAlive: false,
    });
    this.#told.set(circuit, timer);
    circuit.closed.then(() => this.#forget(circuit));
  }

  #forget(circuit: MeetingCircuit): void {
    this.#told.get(circuit)?.cancel();
    this.#told.delete(circuit);
  }

  /** Close all circuits. */
  [Symbol.dispose](): void {
    for (const circuit of [...this.#told.keys()]) circuit.close();
  }
}
