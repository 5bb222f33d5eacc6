/**
 * Many handshakes at once, and every message is carried by an adversary, who
 * holds back, redirects, reflects, replays and alters what he likes, between the
 * networks and versions too, and takes part under a name of his own.
 *
 * A node that believes to have a link with an honest node has that link: the other
 * node has a handshake of the other role, for the same two names, and both of them
 * have seen the same Hello, Challenge and (at the answerer) Proof.
 *
 * @see G. Lowe, "A hierarchy of authentication specifications" (1997): agreement
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { decodeNodeRecord } from "../../lib/auth/node_record.ts";
import { type Bytes, equalBytes } from "../../lib/base/bytes.ts";
import { ProtocolError } from "../../lib/base/errors.ts";
import { type Random, seededRandom } from "../../lib/base/random.ts";
import { AnswererHandshake } from "../../lib/link/answerer_handshake.ts";
import { DiallerHandshake } from "../../lib/link/dialler_handshake.ts";
import type { HandshakeAction } from "../../lib/link/handshake.ts";
import { NonceCache } from "../../lib/link/nonce_cache.ts";
import {
  ADMISSION,
  alice,
  bob,
  crypto,
  mallory,
  network,
  otherNetwork,
  type TestNode,
  UNIX_MS,
} from "./handshake_world.ts";

/** All nodes; the last one is the adversary. */
const NODES: readonly TestNode[] = [alice, bob, mallory];
const NETWORKS = [network, otherNetwork];
const VERSIONS = [[1, 2], [1], [2]];

/** One handshake, as one of its nodes has it. */
interface Party {
  readonly machine: DiallerHandshake | AnswererHandshake;
  readonly role: "dialler" | "answerer";
  readonly node: TestNode;
  readonly network: typeof network;
  /** All that it said and heard, in order. */
  readonly said: Bytes[];
  /** What it said. */
  readonly sent: Bytes[];
  /** The peer that it believes to have a link with. */
  believes?: { readonly peerKey: Bytes; readonly version: number };
}

/** A dialler, and who answers it if the adversary does nothing. */
interface Pair {
  readonly dialler: Party;
  readonly answerer: Party;
  /** Messages of each that the other was given. */
  brought: { dialler: number; answerer: number };
}

/** Mostly the first. */
const mostlyFirst = (others: number) =>
  fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, {
    weight: 1,
    arbitrary: fc.nat(others),
  });

/** What the adversary does next. */
const step = fc.oneof(
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant("start" as const),
      dialler: fc.nat(2),
      /** Whom it dials, and who is there: counted from the dialler. */
      dialled: fc.nat(2),
      answerer: mostlyFirst(2),
      networks: fc.tuple(mostlyFirst(1), mostlyFirst(1)),
      versions: fc.tuple(mostlyFirst(2), mostlyFirst(2)),
    }),
  },
  {
    weight: 10,
    arbitrary: fc.record({
      type: fc.constant("pass" as const),
      pair: fc.nat(),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant("misuse" as const),
      message: fc.nat(),
      to: fc.nat(),
      flip: fc.option(fc.nat(), { freq: 5, nil: undefined }),
    }),
  },
);

/** A world of handshakes, and all that was ever said in it. */
class Adversary {
  readonly parties: Party[] = [];
  readonly #pairs: Pair[] = [];
  readonly #messages: Bytes[] = [];
  readonly #random: Random;
  /** Each node remembers nonces, as a whole node does. */
  readonly #nonces = new Map(NODES.map((node) => [node, new NonceCache()]));

  constructor(seed: number) {
    this.#random = seededRandom(seed);
  }

  /** One node dials, and one answers. */
  start(change: {
    readonly dialler: TestNode;
    readonly dialled: TestNode;
    readonly answerer: TestNode;
    readonly networks: readonly (typeof network)[];
    readonly versions: readonly (readonly number[])[];
  }): void {
    const shared = { crypto, random: this.#random };
    const options = ({ identity, record }: TestNode, side: number) => ({
      ...shared,
      network: change.networks[side] ?? network,
      versions: change.versions[side] ?? [1],
      identity,
      record: record.encoded,
    });
    const nonces = this.#nonces.get(change.answerer) ?? new NonceCache();
    const [dial, answer] = [
      options(change.dialler, 0),
      options(change.answerer, 1),
    ];
    const { publicKey } = change.dialled.identity;
    const dialler = {
      machine: new DiallerHandshake({ ...dial, peerKey: publicKey }),
      ...{ role: "dialler" as const, node: change.dialler },
      ...{ network: dial.network, said: [], sent: [] },
    };
    const answerer = {
      machine: new AnswererHandshake({ ...answer, nonces }),
      ...{ role: "answerer" as const, node: change.answerer },
      ...{ network: answer.network, said: [], sent: [] },
    };
    this.parties.push(dialler, answerer);
    const brought = { dialler: 0, answerer: 0 };
    this.#pairs.push({ dialler, answerer, brought });
    this.#obey(answerer, answerer.machine.start(0));
    this.#obey(dialler, dialler.machine.start(0));
  }

  /** Be faithful for once: bring the next message within a pair. */
  pass(index: number): void {
    const pair = this.#pairs[index % this.#pairs.length];
    if (pair === undefined) return;
    const { dialler, answerer, brought } = pair;
    const fromDialler = dialler.sent[brought.dialler];
    const fromAnswerer = answerer.sent[brought.answerer];
    if (fromDialler !== undefined) {
      brought.dialler++;
      this.#bring(fromDialler, answerer);
    } else if (fromAnswerer !== undefined) {
      brought.answerer++;
      this.#bring(fromAnswerer, dialler);
    }
  }

  /** Bring anything that was ever said to any party, as it was or with a bit flipped. */
  misuse(message: number, to: number, flip: number | undefined): void {
    const said = this.#messages[message % this.#messages.length];
    const party = this.parties[to % this.parties.length];
    if (said === undefined || party === undefined) return;
    const arrived = new Uint8Array(said);
    if (flip !== undefined) {
      const at = (flip >> 3) % arrived.length;
      arrived[at] = (arrived[at] ?? 0) ^ (1 << (flip & 7));
    }
    this.#bring(arrived, party);
  }

  #bring(message: Bytes, party: Party): void {
    party.said.push(message);
    this.#obey(party, party.machine.onMessage(message, 0));
  }

  #obey(party: Party, actions: readonly HandshakeAction[]): void {
    for (const action of actions) {
      if (action.type === "send") {
        party.said.push(action.message);
        party.sent.push(action.message);
        this.#messages.push(action.message);
      } else if (action.type === "established") {
        party.believes = action.result;
      } else if (action.type === "admit") {
        this.#obey(party, admitted(party, action.record));
      }
    }
  }
}

/** What the machine does when its driver has looked at the peer's record. */
function admitted(
  { machine, network }: Party,
  encoded: Bytes | undefined,
): HandshakeAction[] {
  try {
    const record = encoded &&
      decodeNodeRecord(crypto, network, encoded, UNIX_MS);
    if (machine instanceof AnswererHandshake) {
      return machine.onAdmitted(record, ADMISSION, 0);
    }
    return record === undefined ? [] : machine.onAdmitted(record, 0);
  } catch (error) {
    assert.ok(error instanceof ProtocolError); // of the other network
    return machine.onRefused(error, 0);
  }
}

/** Whether `other` is the handshake that `party` believes to have. */
function agrees(party: Party, other: Party): boolean {
  const count = party.role === "dialler" ? 2 : 3;
  return other.role !== party.role && other.network === party.network &&
    equalBytes(other.node.identity.publicKey, peerKeyOf(party)) &&
    Array.from({ length: count }, (_, index) => index).every((index) => {
      const [one, two] = [party.said[index], other.said[index]];
      return one !== undefined && two !== undefined && equalBytes(one, two);
    }) &&
    // A node that proved its key meant to talk to this party, and to no other.
    (other.machine instanceof AnswererHandshake ||
      other.believes === undefined ||
      equalBytes(other.believes.peerKey, party.node.identity.publicKey));
}

function peerKeyOf({ believes }: Party): Bytes {
  assert.ok(believes !== undefined);
  return believes.peerKey;
}

Deno.test("a node that has finished a handshake with an honest node agrees with it on all of it", () => {
  let finished = 0;
  fc.assert(
    fc.property(
      fc.array(step, { minLength: 40, maxLength: 120 }),
      fc.nat(),
      (steps, seed) => {
        const adversary = new Adversary(seed);
        for (const step of steps) {
          if (step.type === "pass") adversary.pass(step.pair);
          else if (step.type === "misuse") {
            adversary.misuse(step.message, step.to, step.flip);
          } else {
            const node = (index: number) => NODES[index % 3] ?? alice;
            const dialled = step.dialler + 1 + step.dialled;
            adversary.start({
              dialler: node(step.dialler),
              dialled: node(dialled),
              answerer: node(dialled + step.answerer),
              networks: step.networks.map((index) =>
                NETWORKS[index] ?? network
              ),
              versions: step.versions.map((index) => VERSIONS[index] ?? [1]),
            });
          }
        }
        const matched = new Set<Party>();
        for (const party of adversary.parties) {
          if (party.node === mallory || party.believes === undefined) continue;
          if (equalBytes(peerKeyOf(party), mallory.identity.publicKey)) {
            continue;
          }
          finished++;
          const partner = adversary.parties.find((other) =>
            agrees(party, other)
          );
          assert.ok(partner !== undefined, `${party.role} is alone`);
          // No node has two links where the other has one (replays).
          if (party.role === "answerer") {
            assert.ok(!matched.has(partner), "a handshake was used twice");
            matched.add(partner);
          }
        }
      },
    ),
    { numRuns: 1000 },
  );
  assert.ok(finished > 300, `only ${finished} handshakes came to their end`);
});
