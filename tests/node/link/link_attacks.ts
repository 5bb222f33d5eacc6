/**
 * Attacks on the handshake over any transport, held against QUIC and memory.
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { Identity } from "../../../lib/auth/identity.ts";
import { customNetwork } from "../../../lib/auth/network.ts";
import { type Bytes, concat } from "../../../lib/base/bytes.ts";
import {
  AnswererHandshake,
  type AnswererOptions,
} from "../../../lib/link/answerer_handshake.ts";
import {
  DiallerHandshake,
  type DiallerOptions,
} from "../../../lib/link/dialler_handshake.ts";
import type { HandshakeAction } from "../../../lib/link/handshake.ts";
import {
  decodeChallengeBody,
  decodeHandshake,
  encodeChallengeBody,
  encodeHandshake,
  MAX_HANDSHAKE_BYTES,
} from "../../../lib/link/handshake_message.ts";
import { NonceCache } from "../../../lib/link/nonce_cache.ts";
import {
  ANSWERER_CONTEXT,
  transcriptHash,
} from "../../../lib/link/transcript.ts";
import { FrameStream } from "../../../lib/node/link/frame_stream.ts";
import { dialHandshake } from "../../../lib/node/link/link_handshake.ts";
import type { ByteStream, Endpoint } from "../../../lib/transport/transport.ts";
import { codeOf, CRYPTO, type LinkWorld, NETWORK } from "./link_world.ts";
import { rawStream, refused } from "./raw_link.ts";

/** Runs a test in a world of its own. */
type InWorld = (test: (world: LinkWorld) => Promise<void>) => Promise<void>;

/** Register the tests for one transport. */
export function testLinkAttacks(name: string, inWorld: InWorld): void {
  const test = (sentence: string, body: (world: LinkWorld) => Promise<void>) =>
    Deno.test(`links ${name} ${sentence}`, () => inWorld(body));

  test("cannot be taken over by a man in the middle who forwards the challenge", async (world) => {
    // Alice dials Mallory, a relay like any other; he connects to Bob and copies
    // every message between the two, to be Alice to Bob.
    const [alice, bob] = [await world.node(), await world.node()];
    const mallory = world.identity();
    const trap = await world.endpoint(mallory);
    const caught = trap.accept();
    const dial = codeOf(
      alice.table.getOrDial({
        publicKey: mallory.publicKey,
        addresses: [trap.localAddress],
      }),
    );
    const fromAlice = await caught;
    assert.ok(fromAlice !== undefined);
    const toBob = await trap.dial(
      bob.endpoint.localAddress,
      bob.identity.publicKey,
    );
    const aliceStream = await fromAlice.acceptStream();
    const bobStream = await toBob.openStream();
    assert.ok(aliceStream !== undefined);
    const copies = Promise.allSettled([
      copy(aliceStream, bobStream),
      copy(bobStream, aliceStream),
    ]);
    assert.equal(await dial, "link.wrong_identity");
    toBob.close(0);
    await copies;
    assert.equal(bob.links.items.length, 0);
    assert.equal(alice.links.items.length, 0);
  });

  test("are not given for a proof that was made for another node", async (world) => {
    // The same, but Mallory challenges Alice himself and forwards her Proof.
    const bob = await world.node();
    const [alice, mallory] = [world.identity(), world.identity()];
    const raw = await rawStream(world, bob);
    const dial = new DiallerHandshake({
      ...handshakeOptions(world),
      identity: alice,
      peerKey: mallory.publicKey,
    });
    const trap = new AnswererHandshake({
      ...handshakeOptions(world),
      identity: mallory,
      record: world.record(mallory),
      nonces: new NonceCache(),
    });
    trap.start(0);
    const hello = sent(dial.start(0));
    await raw.frames.write(hello);
    assert.ok(await raw.frames.read() !== undefined);
    const proof = sent(dial.onMessage(sent(trap.onMessage(hello, 0)), 0));
    await raw.frames.write(proof);
    await refused(raw);
    assert.deepEqual(await bob.refusals.reach(1), ["link.bad_proof"]);
  });

  test("are not given for a recorded handshake", async (world) => {
    const [alice, bob] = [await world.node(), await world.node()];
    // Mallory has all that Alice ever sent to Bob.
    const spied = await rawStream(world, bob);
    const dial = new DiallerHandshake({
      ...handshakeOptions(world),
      identity: alice.identity,
      peerKey: bob.identity.publicKey,
    });
    const hello = sent(dial.start(0));
    await spied.frames.write(hello);
    const challenge = await spied.frames.read();
    assert.ok(challenge !== undefined);
    const proof = sent(dial.onMessage(challenge, 0));
    await spied.frames.write(proof);
    assert.ok(await spied.frames.read() !== undefined);
    assert.equal(bob.links.items.length, 1);

    const replay = await rawStream(world, bob);
    await replay.frames.write(hello);
    await replay.frames.write(proof).catch(() => {});
    await refused(replay);
    assert.deepEqual(await bob.refusals.reach(1), ["link.replay"]);
    assert.equal(bob.links.items.length, 1);
  });

  test("are not given for hellos of the wrong network, role or version", async (world) => {
    const bob = await world.node();
    const options = handshakeOptions(world);
    const peerKey = bob.identity.publicKey;
    const hello = (changes: Partial<DiallerOptions>) =>
      sent(
        new DiallerHandshake({
          ...options,
          identity: world.identity(),
          peerKey,
          ...changes,
        }).start(0),
      );
    const network = customNetwork({
      name: "other",
      powDifficulty: 0,
      allowPrivateAddresses: true,
    });
    const messages = [
      hello({ network }),
      hello({ versions: [2] }),
      hello({ identity: bob.identity, peerKey: alicesKey(world) }),
      encodeHandshake({ type: "refused", code: "refused" }),
      encodeHandshake({ type: "proof", signature: new Uint8Array(64) }),
      Uint8Array.of(0xff),
    ];
    for (const message of messages) {
      const raw = await rawStream(world, bob);
      await raw.frames.write(message);
      await refused(raw);
    }
    const codes = await bob.refusals.reach(messages.length);
    assert.deepEqual(codes.toSorted(), [
      "link.out_of_order",
      "link.self",
      "link.version",
      "link.wrong_network",
      "link.wrong_role",
      "wire.cbor_type",
    ]);
    assert.equal(bob.links.items.length, 0);
  });

  test("are not made with answers that reflect, play the other role or choose too low a version", async (world) => {
    const mallory = world.identity();
    const trap = await openTrap(world, mallory);
    const answers: [string, (hello: Bytes) => Bytes][] = [
      ["link.wrong_role", (hello) => hello],
      ["link.reflection", (hello) => {
        const said = decodeHandshake(hello);
        assert.ok(said.type === "hello");
        const random = { bytes: () => said.nonce };
        return challengeOf(world, mallory, hello, { random });
      }],
      ["link.downgrade", (hello) => {
        const challenge = challengeOf(world, mallory, hello, {});
        return asVersionOne(challenge, hello, mallory);
      }],
      ["link.bad_signature", (hello) => {
        const challenge = challengeOf(world, mallory, hello, {});
        challenge[challenge.length - 1] = challenge.at(-1) === 0 ? 1 : 0;
        return challenge;
      }],
    ];
    for (const [code, answer] of answers) {
      assert.equal(await dialTrap(world, trap, [1, 2], answer), code);
    }
  });

  test("are not given to a dialler of whose messages one was altered", async (world) => {
    const bob = await world.node();
    const endpoint = await world.endpoint(world.identity());
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom("hello", "proof"),
        alteration,
        async (which, change) => {
          const dial = new DiallerHandshake({
            ...handshakeOptions(world),
            identity: world.identity(),
            peerKey: bob.identity.publicKey,
          });
          const hello = sent(dial.start(0));
          const raw = await rawStream(world, bob, endpoint);
          await raw.frames.write(
            which === "hello" ? alter(hello, change) : hello,
          );
          const answer = await raw.frames.read();
          assert.ok(answer !== undefined);
          const actions = dial.onMessage(answer, 0);
          if (which === "hello") {
            // Refused, or challenged for what the dialler never said.
            assert.ok(actions.every(({ type }) => type !== "send"));
            raw.connection.close(0);
          } else {
            await raw.frames.write(alter(sent(actions), change));
            await refused(raw);
          }
          assert.equal(bob.links.items.length, 0);
        },
      ),
      { numRuns: 60 },
    );
    assert.deepEqual(bob.errors, []);
    const alice = await world.node();
    await alice.table.getOrDial(bob.peer);
  });

  test("are not made with a challenge that was altered", async (world) => {
    const mallory = world.identity();
    const trap = await openTrap(world, mallory);
    await fc.assert(
      fc.asyncProperty(alteration, async (change) => {
        const failure = await dialTrap(world, trap, [1], (hello) => {
          const honest = challengeOf(world, mallory, hello, { versions: [1] });
          return alter(honest, change);
        });
        assert.match(String(failure), /^(link|wire|auth)\./);
      }),
      { numRuns: 60 },
    );
  });
}

/** One change of a message. */
type Alteration =
  | { readonly type: "flip"; readonly at: number; readonly bit: number }
  | { readonly type: "cut"; readonly at: number }
  | { readonly type: "extend"; readonly by: Uint8Array };

const alteration: fc.Arbitrary<Alteration> = fc.oneof(
  fc.record({
    type: fc.constant("flip" as const),
    at: fc.nat(),
    bit: fc.nat(7),
  }),
  fc.record({ type: fc.constant("cut" as const), at: fc.nat() }),
  fc.record({
    type: fc.constant("extend" as const),
    by: fc.uint8Array({ minLength: 1, maxLength: 64 }),
  }),
);

/** Another message than `message`, with at least a byte. */
function alter(message: Bytes, change: Alteration): Bytes {
  if (change.type === "extend") return concat(message, change.by);
  if (change.type === "cut") {
    return message.slice(0, 1 + change.at % (message.length - 1));
  }
  const flipped = new Uint8Array(message);
  const at = change.at % message.length;
  flipped[at] = (flipped[at] ?? 0) ^ (1 << change.bit);
  return flipped;
}

/** What all handshakes in a world share. */
function handshakeOptions(world: LinkWorld) {
  return { crypto: CRYPTO, random: world.random, network: NETWORK };
}

/** Mallory, who waits to be dialled, and a node that dials her. */
interface Trap {
  readonly mallory: Identity;
  readonly listening: Endpoint;
  readonly identity: Identity;
  readonly dialling: Endpoint;
}

async function openTrap(world: LinkWorld, mallory: Identity): Promise<Trap> {
  const identity = world.identity();
  return {
    mallory,
    listening: await world.endpoint(mallory),
    identity,
    dialling: await world.endpoint(identity),
  };
}

/** Dial Mallory, who answers the hello as told. @returns The code it fails with. */
async function dialTrap(
  world: LinkWorld,
  { mallory, listening, identity, dialling }: Trap,
  versions: readonly number[],
  answer: (hello: Bytes) => Bytes,
): Promise<unknown> {
  const accepted = listening.accept();
  const peerKey = mallory.publicKey;
  const connection = await dialling.dial(listening.localAddress, peerKey);
  const dial = codeOf(
    dialHandshake(connection, {
      ...handshakeOptions(world),
      clock: world.clock,
      verifier: world.verifier(),
      identity,
      peerKey,
      versions,
    }),
  );
  const stream = await (await accepted)?.acceptStream();
  assert.ok(stream !== undefined);
  const frames = new FrameStream(stream, MAX_HANDSHAKE_BYTES);
  const hello = await frames.read();
  assert.ok(hello !== undefined);
  await frames.write(answer(hello));
  return await dial;
}

/** The only message that the actions send. */
function sent(actions: readonly HandshakeAction[]): Bytes {
  const [action] = actions;
  assert.ok(action?.type === "send" && actions.length === 1);
  return action.message;
}

/** What `identity` answers to a hello, speaking versions 1 and 2. */
function challengeOf(
  world: LinkWorld,
  identity: Identity,
  hello: Bytes,
  changes: Partial<AnswererOptions>,
): Bytes {
  const machine = new AnswererHandshake({
    ...handshakeOptions(world),
    identity,
    record: world.record(identity),
    nonces: new NonceCache(),
    versions: [1, 2],
    ...changes,
  });
  machine.start(0);
  return sent(machine.onMessage(hello, 0));
}

/** The same challenge for version 1, signed as if that were honest. */
function asVersionOne(
  challenge: Bytes,
  hello: Bytes,
  identity: Identity,
): Bytes {
  const [said, answer] = [decodeHandshake(hello), decodeHandshake(challenge)];
  assert.ok(said.type === "hello" && answer.type === "challenge");
  const content = { ...decodeChallengeBody(answer.body), version: 1 };
  const body = encodeChallengeBody(content);
  const signed = transcriptHash(CRYPTO, {
    network: NETWORK.name,
    diallerKey: said.publicKey,
    answererKey: identity.publicKey,
    diallerNonce: said.nonce,
    answererNonce: content.nonce,
    messages: [hello, body],
  });
  const signature = identity.sign(ANSWERER_CONTEXT, signed);
  return encodeHandshake({ type: "challenge", body, signature });
}

function alicesKey(world: LinkWorld): Identity["publicKey"] {
  return world.identity().publicKey;
}

/** Copy bytes until either end is gone. */
async function copy(from: ByteStream, to: ByteStream): Promise<void> {
  for (;;) {
    const chunk = await from.read(new Uint8Array(4096));
    if (chunk === undefined) return;
    await to.write(chunk);
  }
}
