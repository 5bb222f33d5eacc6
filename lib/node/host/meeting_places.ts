/**
 * How many clients one service meets at once, and at which rendezvous points:
 * clients name those points, and a point that does not exist costs a time-out.
 *
 * @see protocol §7.5 "Rendezvous"
 * @module
 */
import type { NodeRecord } from "../../auth/node_record.ts";
import type { Bytes } from "../../base/bytes.ts";
import { deadline } from "../../base/clock.ts";
import { UnreachableError } from "../../base/errors.ts";
import { Places } from "../../base/places.ts";
import type { WaitLimit } from "../circuit/circuits.ts";
import { namedRelay, type ServiceContext } from "../session/service_context.ts";

/** A client that could not be met by then waits no more, ms. */
const MEET_MS = 20_000;
/**
 * Clients at rendezvous points that our relay list does not name, met at once: a
 * client may invent relays that do not exist, and each costs a time-out.
 */
const MAX_STRANGERS = 4;
/**
 * Clients met at once at one relay: one that lets us wait must not take all the
 * places that there are for answers.
 */
const MAX_AT_RELAY = 8;

/** The places at rendezvous points where one service meets clients. */
export class MeetingPlaces {
  readonly #context: ServiceContext;
  readonly #strangers = new Places(MAX_STRANGERS);
  readonly #atRelay = new Places(Infinity, MAX_AT_RELAY);

  constructor(context: ServiceContext) {
    this.#context = context;
  }

  /**
   * Take a place at a rendezvous point while `meet` runs.
   *
   * @param rendezvous The point's record as the client names it.
   * @param meet Ends soon when its limit says so.
   * @throws {ProtocolError} `auth.record_*`.
   * @throws {UnreachableError} `service.busy`, `service.meet_timeout`.
   */
  async meetAt(
    rendezvous: Bytes,
    { signal }: WaitLimit,
    meet: (relay: NodeRecord, limit: WaitLimit) => Promise<void>,
  ): Promise<void> {
    const { record, isKnown } = await namedRelay(this.#context, rendezvous);
    const name = record.nodeId.toHex();
    if (!this.#atRelay.take(name)) throw meetingsFull();
    try {
      if (!isKnown && !this.#strangers.take()) throw meetingsFull();
      try {
        using limit = deadline(this.#context.clock, MEET_MS, tooLate, signal);
        await meet(record, limit);
      } finally {
        if (!isKnown) this.#strangers.give();
      }
    } finally {
      this.#atRelay.give(name);
    }
  }
}

/** The error for a client that finds no place. */
export function meetingsFull(): UnreachableError {
  return new UnreachableError(
    "service.busy",
    "Cannot meet client: too many are being met",
  );
}

function tooLate(): UnreachableError {
  return new UnreachableError(
    "service.meet_timeout",
    "Cannot meet client: the circuit took too long",
  );
}
