/**
 * Both machines of the link handshake, against a peer that signs what it likes: its
 * messages are signed again after they were mutated.
 *
 * @module
 */
import { decodeNodeRecord } from "../../../lib/auth/node_record.ts";
import type { Bytes } from "../../../lib/base/bytes.ts";
import { AnonNetError, BugError } from "../../../lib/base/errors.ts";
import type { AnswererHandshake } from "../../../lib/link/answerer_handshake.ts";
import type { DiallerHandshake } from "../../../lib/link/dialler_handshake.ts";
import type { HandshakeAction } from "../../../lib/link/handshake.ts";
import {
  decodeChallengeBody,
  decodeHandshake,
  encodeHandshake,
} from "../../../lib/link/handshake_message.ts";
import {
  ANSWERER_CONTEXT,
  DIALLER_CONTEXT,
  transcriptHash,
} from "../../../lib/link/transcript.ts";
import {
  ADMISSION,
  alice,
  answerer,
  bob,
  crypto,
  dialler,
  network,
  runHandshake,
  UNIX_MS,
} from "../../link/handshake_world.ts";
import {
  decodeStep,
  encodeStep,
  type FuzzInput,
  type FuzzTarget,
  promise,
} from "../fuzz_target.ts";

/** What comes to a machine: as it is, signed again, and the end of the stream. */
const KIND = { raw: 0, signed: 1, end: 2, refuse: 3 };
const KINDS = Object.keys(KIND).length;

const CPU = { baseMs: 30, perKibMs: 5 };

type Machine = AnswererHandshake | DiallerHandshake;

/** One machine, and what it has sent. */
class Run {
  readonly #machine: Machine;
  readonly #role: "dialler" | "answerer";
  readonly #sent: Bytes[] = [];
  readonly #words: string[] = [];
  #hello: Bytes = new Uint8Array(0);
  #ends = 0;
  #nowMs = 0;

  constructor(role: "dialler" | "answerer") {
    this.#role = role;
    this.#machine = role === "dialler" ? dialler() : answerer();
    this.#take(this.#machine.start(0));
  }

  play(input: FuzzInput): string {
    for (const bytes of input) {
      const { kind, delayMs, body } = decodeStep(bytes, KINDS);
      this.#nowMs += delayMs;
      if (this.#machine.deadlineMs <= this.#nowMs) {
        this.#take(this.#machine.onTime(this.#nowMs));
      }
      switch (kind) {
        case KIND.end:
          this.#take(this.#machine.onEnd(this.#nowMs));
          break;
        case KIND.refuse:
          this.#take(
            this.#machine.onRefused(new AnonNetError("link.busy", ""), 0),
          );
          break;
        default:
          this.#take(
            this.#machine.onMessage(
              kind === KIND.signed ? this.#signed(body) : body,
              this.#nowMs,
            ),
          );
      }
    }
    this.#take(this.#machine.onEnd(this.#nowMs));
    this.#take(this.#machine.onTime(this.#nowMs + 3_600_000));
    promise(this.#machine.deadlineMs === Infinity, "it waits for something");
    promise(this.#ends === 1, `it ended ${this.#ends} times`);
    return this.#words.join(" ");
  }

  #take(actions: readonly HandshakeAction[]): void {
    for (const action of actions) {
      switch (action.type) {
        case "send":
          this.#sent.push(action.message);
          decodeHandshake(action.message);
          break;
        case "admit":
          this.#admit(action.record);
          break;
        case "established":
          this.#ends++;
          this.#words.push("established");
          break;
        case "failed":
          promise(
            !(action.error instanceof BugError),
            `a peer's message is called our bug: ${action.error.code}`,
          );
          this.#ends++;
          this.#words.push(action.error.code);
      }
    }
  }

  /** As the driver does. */
  #admit(encoded: Bytes | undefined): void {
    const machine = this.#machine;
    try {
      const record = encoded === undefined
        ? undefined
        : decodeNodeRecord(crypto, network, encoded, UNIX_MS);
      if ("onAdmitted" in machine && this.#role === "answerer") {
        this.#take(
          (machine as AnswererHandshake).onAdmitted(record, ADMISSION, 0),
        );
      } else if (record !== undefined) {
        this.#take((machine as DiallerHandshake).onAdmitted(record, 0));
      }
    } catch (error) {
      if (!(error instanceof AnonNetError) || error instanceof BugError) {
        throw error;
      }
      this.#take(machine.onRefused(error, 0));
    }
  }

  /** What the peer would have signed, had it meant to say this. */
  #signed(body: Bytes): Bytes {
    try {
      const message = decodeHandshake(body);
      if (message.type === "hello") this.#hello = body;
      if (message.type === "challenge") {
        const { nonce, publicKey } = decodeChallengeBody(message.body);
        const hello = this.#sent[0] ?? new Uint8Array(0);
        const said = decodeHandshake(hello);
        const signed = transcriptHash(crypto, {
          network: network.name,
          diallerKey: alice.identity.publicKey,
          answererKey: publicKey,
          diallerNonce: said.type === "hello" ? said.nonce : nonce,
          answererNonce: nonce,
          messages: [hello, message.body],
        });
        const signature = bob.identity.sign(ANSWERER_CONTEXT, signed);
        return encodeHandshake({ ...message, signature });
      }
      if (message.type === "proof") return this.#proof();
      return body;
    } catch (error) {
      if (error instanceof AnonNetError) return body;
      throw error;
    }
  }

  #proof(): Bytes {
    const challenge = this.#sent[0] ?? new Uint8Array(0);
    const message = decodeHandshake(challenge);
    const hello = decodeHandshake(this.#hello);
    const body = message.type === "challenge" ? message.body : challenge;
    const { nonce } = decodeChallengeBody(body);
    const signed = transcriptHash(crypto, {
      network: network.name,
      diallerKey: alice.identity.publicKey,
      answererKey: bob.identity.publicKey,
      diallerNonce: hello.type === "hello" ? hello.nonce : nonce,
      answererNonce: nonce,
      messages: [this.#hello, body, challenge],
    });
    const signature = alice.identity.sign(DIALLER_CONTEXT, signed);
    return encodeHandshake({ type: "proof", signature });
  }
}

/** What one side hears in an honest handshake, as it is and to be signed again. */
function honestRuns(role: "dialler" | "answerer"): FuzzInput[] {
  const [hello, challenge, proof] =
    runHandshake(dialler(), answerer()).messages;
  const none = new Uint8Array(0);
  const welcome = encodeHandshake({ type: "welcome", ...ADMISSION });
  const refused = encodeHandshake({ type: "refused", code: "busy" });
  const heard = role === "dialler"
    ? [challenge ?? none, welcome]
    : [hello ?? none, proof ?? none];
  return [
    heard.map((message) => encodeStep(KIND.signed, message, 10)),
    heard.map((message) => encodeStep(KIND.raw, message, 10)),
    [encodeStep(KIND.signed, heard[0] ?? none), encodeStep(KIND.raw, refused)],
    [encodeStep(KIND.signed, heard[0] ?? none), encodeStep(KIND.end, none)],
    [encodeStep(KIND.refuse, none)],
  ];
}

function target(role: "dialler" | "answerer"): FuzzTarget {
  return {
    name: `link/${role}`,
    about:
      `the ${role}'s handshake: messages that the other side signed, or not`,
    hasSteps: true,
    allowed: [],
    cpu: CPU,
    seeds: () => honestRuns(role),
    run: (input) => new Run(role).play(input),
  };
}

/** Targets of the link handshake. */
export const LINK_TARGETS: readonly FuzzTarget[] = [
  target("answerer"),
  target("dialler"),
];
