/**
 * Tickets: proof that a client holds a session's secret, good for one further leg.
 *
 *     session = HKDF(secret, "", "anonnet v1 session id", 16)
 *     proof   = HMAC(HKDF(secret, "", "anonnet v1 session ticket", 32),
 *                    leg(2) ‖ cookie(20))
 *
 * A ticket names its leg, and a session takes every leg number once; it covers
 * the rendezvous cookie, so it is worth nothing elsewhere. Who does not hold the
 * secret cannot tell whether two tickets are of one session's making, as they
 * travel inside introductions alone.
 *
 * @see protocol §7.6 "Legs, and staying reachable"
 * @module
 */
import {
  type Bytes,
  concat,
  equalSecret,
  utf8,
  wipe,
} from "../../base/bytes.ts";
import { type CryptoSuite, KEY_BYTES } from "../../crypto/suite.ts";
import { type LegNumber, MAX_LEG_NUMBER } from "../../session/frames.ts";
import type { CborValue } from "../../wire/cbor.ts";
import type { Fields } from "../../wire/fields.ts";

/** Bytes of a session's public name. */
const SESSION_ID_BYTES = 16;
const PROOF_BYTES = 32;
const ID_INFO = utf8("anonnet v1 session id");
const TICKET_INFO = utf8("anonnet v1 session ticket");

/** Asks for a leg of a session. */
export interface Ticket {
  /** {@linkcode SESSION_ID_BYTES}. */
  readonly session: Bytes;
  readonly leg: LegNumber;
  /** 32 bytes. */
  readonly proof: Bytes;
}

/** The name of a session, which only its two ends can work out. */
export function sessionId(crypto: CryptoSuite, secret: Uint8Array): Bytes {
  return crypto.hkdf(secret, new Uint8Array(0), ID_INFO, SESSION_ID_BYTES);
}

/** A ticket for one leg over the rendezvous circuit that `cookie` names. */
export function makeTicket(
  crypto: CryptoSuite,
  secret: Uint8Array,
  leg: LegNumber,
  cookie: Uint8Array,
): Ticket {
  return {
    session: sessionId(crypto, secret),
    leg,
    proof: proofOf(crypto, secret, leg, cookie),
  };
}

/** Whether a ticket is of this session, for this cookie. Takes constant time. */
export function isTicketValid(
  crypto: CryptoSuite,
  secret: Uint8Array,
  ticket: Ticket,
  cookie: Uint8Array,
): boolean {
  const proof = proofOf(crypto, secret, ticket.leg, cookie);
  return equalSecret(proof, ticket.proof);
}

/** As it stands in an introduction. */
export function writeTicket(ticket: Ticket): CborValue {
  return { leg: ticket.leg, proof: ticket.proof, session: ticket.session };
}

/** @throws {ProtocolError} `wire.field`. */
export function readTicket(fields: Fields): Ticket {
  const ticket = {
    session: fields.bytes("session", { length: SESSION_ID_BYTES }),
    leg: fields.uint("leg", MAX_LEG_NUMBER),
    proof: fields.bytes("proof", { length: PROOF_BYTES }),
  };
  fields.finish();
  return ticket;
}

function proofOf(
  crypto: CryptoSuite,
  secret: Uint8Array,
  leg: LegNumber,
  cookie: Uint8Array,
): Bytes {
  const key = crypto.hkdf(secret, new Uint8Array(0), TICKET_INFO, KEY_BYTES);
  const proof = crypto.hmac(
    key,
    concat(Uint8Array.of(leg >> 8, leg & 0xff), cookie),
  );
  wipe(key);
  return proof;
}
