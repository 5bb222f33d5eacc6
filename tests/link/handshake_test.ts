import assert from "node:assert/strict";
import fc from "fast-check";
import { UnreachableError } from "../../lib/base/errors.ts";
import { ANSWERER_CONTEXT, transcriptHash } from "../../lib/link/transcript.ts";
import { decodeCbor, encodeCbor } from "../../lib/wire/cbor.ts";
import type { Bytes } from "../../lib/base/bytes.ts";
import {
  decodeHandshake,
  encodeHandshake,
} from "../../lib/link/handshake_message.ts";
import { NonceCache } from "../../lib/link/nonce_cache.ts";
import {
  ADMISSION,
  alice,
  answerer,
  bob,
  crypto,
  dialler,
  established,
  failure,
  mallory,
  network,
  otherNetwork,
  random,
  runHandshake,
  sent,
  testNode,
} from "./handshake_world.ts";

/** The message with one field replaced; `undefined` takes it away. */
function altered(message: Bytes, name: string, value: unknown): Bytes {
  const map = new Map(decodeCbor(message) as Map<string, never>);
  if (value === undefined) map.delete(name);
  else map.set(name, value as never);
  return encodeCbor(map);
}

Deno.test("a handshake proves each side's key and record to the other", () => {
  const { dialler: d, answerer: a, messages } = runHandshake(
    dialler(),
    answerer(),
  );
  assert.ok(typeof d === "object" && typeof a === "object");
  assert.deepEqual(d.peerKey, bob.identity.publicKey);
  assert.deepEqual(a.peerKey, alice.identity.publicKey);
  assert.deepEqual(d.record?.encoded, bob.record.encoded);
  assert.deepEqual(a.record?.encoded, alice.record.encoded);
  assert.deepEqual(d.observedAddress, ADMISSION.observedAddress);
  assert.deepEqual(d.peerLimits, ADMISSION.limits);
  assert.equal(d.version, 1);
  assert.equal(messages.length, 4);
});

Deno.test("a client needs no record", () => {
  const outcome = runHandshake(dialler({ record: undefined }), answerer());
  assert.ok(typeof outcome.answerer === "object");
  assert.equal(outcome.answerer.record, undefined);
  assert.ok(typeof outcome.dialler === "object");
});

Deno.test("no handshake holds after any bit of any message was flipped", () => {
  const lengths = runHandshake(dialler(), answerer()).messages.map((m) =>
    m.length
  );
  // The Welcome is not signed: TLS alone keeps it whole, and nothing rests on it.
  fc.assert(
    fc.property(
      fc.nat(2).chain((index) =>
        fc.tuple(fc.constant(index), fc.nat((lengths[index] ?? 1) * 8 - 1))
      ),
      ([index, bit]) => {
        const outcome = runHandshake(
          dialler(),
          answerer(),
          (message, number) => {
            if (number !== index) return message;
            const flipped = new Uint8Array(message);
            const at = (bit >> 3) % flipped.length;
            flipped[at] = (flipped[at] ?? 0) ^ (1 << (bit & 7));
            return flipped;
          },
        );
        assert.equal(typeof outcome.dialler, "string");
        assert.equal(typeof outcome.answerer, "string");
      },
    ),
    { numRuns: 400 },
  );
});

Deno.test("no handshake holds after a message was cut, doubled or extended", () => {
  const tamper = [
    (m: Bytes) => m.slice(0, m.length - 1),
    (m: Bytes) => m.slice(0, m.length >> 1),
    (m: Bytes) => m.slice(0, 0),
    (m: Bytes) => new Uint8Array([...m, 0]),
    (m: Bytes) => new Uint8Array([...m, ...m]),
  ];
  for (const change of tamper) {
    for (const index of [0, 1, 2, 3]) {
      const outcome = runHandshake(
        dialler(),
        answerer(),
        (message, number) => number === index ? change(message) : message,
      );
      assert.match(String(outcome.dialler), /^(wire|link)\./);
    }
  }
});

Deno.test("a machine survives arbitrary messages, and fails", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      for (const machine of [dialler(), answerer()]) {
        machine.start(0);
        const actions = machine.onMessage(bytes, 0);
        assert.ok(failure(actions) !== undefined);
        assert.equal(machine.deadlineMs, Infinity);
        assert.deepEqual(machine.onMessage(bytes, 0), []);
      }
    }),
    { numRuns: 200 },
  );
});

Deno.test("DiallerHandshake.onMessage() refuses a challenge that a man in the middle forwards", () => {
  // Alice dials Mallory, a relay like any other. Mallory dials Bob as Alice.
  const alicesDial = dialler({ peerKey: mallory.identity.publicKey });
  const bobsAnswer = answerer();
  bobsAnswer.start(0);
  const hello = sent(alicesDial.start(0));
  const challenge = sent(bobsAnswer.onMessage(hello, 0));
  assert.equal(
    failure(alicesDial.onMessage(challenge, 0)),
    "link.wrong_identity",
  );
});

Deno.test("AnswererHandshake.onMessage() refuses a proof that was given to another node", () => {
  // As above, but Mallory challenges Alice in her own name and passes on the proof.
  const alicesDial = dialler({ peerKey: mallory.identity.publicKey });
  const bobsAnswer = answerer();
  const mallorysAnswer = answerer({
    identity: mallory.identity,
    record: mallory.record.encoded,
  });
  const hello = sent(alicesDial.start(0));
  bobsAnswer.start(0);
  mallorysAnswer.start(0);
  sent(bobsAnswer.onMessage(hello, 0));
  const proof = sent(
    alicesDial.onMessage(sent(mallorysAnswer.onMessage(hello, 0)), 0),
  );
  assert.equal(failure(bobsAnswer.onMessage(proof, 0)), "link.bad_proof");
});

Deno.test("DiallerHandshake.onMessage() refuses Bob's name under Mallory's signature", () => {
  const dial = dialler();
  const forger = answerer({ identity: mallory.identity });
  forger.start(0);
  const challenge = sent(forger.onMessage(sent(dial.start(0)), 0));
  const fields = decodeCbor(challenge) as Map<string, Bytes>;
  const body = altered(
    fields.get("body") as Bytes,
    "publicKey",
    bob.identity.publicKey,
  );
  assert.equal(
    failure(dial.onMessage(altered(challenge, "body", body), 0)),
    "link.bad_signature",
  );
});

Deno.test("AnswererHandshake.onMessage() refuses a replayed hello", () => {
  const nonces = new NonceCache();
  const { messages } = runHandshake(dialler(), answerer({ nonces }));
  const again = answerer({ nonces });
  again.start(0);
  assert.equal(
    failure(again.onMessage(messages[0] as Bytes, 0)),
    "link.replay",
  );
});

Deno.test("AnswererHandshake.onMessage() refuses a replayed proof even if it has forgotten the hello", () => {
  const { messages } = runHandshake(dialler(), answerer());
  const again = answerer({ nonces: new NonceCache() });
  again.start(0);
  sent(again.onMessage(messages[0] as Bytes, 0));
  assert.equal(
    failure(again.onMessage(messages[2] as Bytes, 0)),
    "link.bad_proof",
  );
});

Deno.test("DiallerHandshake.onMessage() refuses a replayed challenge", () => {
  const { messages } = runHandshake(dialler(), answerer());
  const again = dialler();
  again.start(0);
  assert.equal(
    failure(again.onMessage(messages[1] as Bytes, 0)),
    "link.bad_signature",
  );
});

Deno.test("DiallerHandshake.onMessage() refuses its own nonce come back", () => {
  const dial = dialler();
  const hello = decodeHandshake(sent(dial.start(0)));
  assert.ok(hello.type === "hello");
  const mirror = answerer({ random: { bytes: () => hello.nonce } });
  mirror.start(0);
  const challenge = sent(mirror.onMessage(encodeHandshake(hello), 0));
  assert.equal(failure(dial.onMessage(challenge, 0)), "link.reflection");
});

Deno.test("AnswererHandshake.onMessage() refuses its own key", () => {
  const answer = answerer();
  const hello = sent(
    dialler({
      identity: bob.identity,
      peerKey: mallory.identity.publicKey,
    }).start(0),
  );
  answer.start(0);
  assert.equal(failure(answer.onMessage(hello, 0)), "link.self");
});

Deno.test("DiallerHandshake.start() does not dial itself", () => {
  const actions = dialler({ identity: bob.identity }).start(0);
  assert.equal(failure(actions), "link.self");
  assert.equal(actions.length, 1);
});

Deno.test("a message of one's own role is refused, in any state", () => {
  const { messages } = runHandshake(dialler(), answerer());
  const [hello, challenge, proof, welcome] = messages as [
    Bytes,
    Bytes,
    Bytes,
    Bytes,
  ];
  for (const message of [hello, proof]) {
    const dial = dialler();
    dial.start(0);
    assert.equal(failure(dial.onMessage(message, 0)), "link.wrong_role");
  }
  const refused = encodeHandshake({ type: "refused", code: "refused" });
  for (const message of [challenge, welcome, refused]) {
    const answer = answerer();
    answer.start(0);
    assert.equal(failure(answer.onMessage(message, 0)), "link.wrong_role");
  }
});

Deno.test("a signature made in one role is worthless in the other", () => {
  // Mallory has Bob sign as dialler what Alice expects of him as answerer, and
  // the other way round: each presents the other's signature as its own.
  const dial = dialler();
  const answer = answerer();
  answer.start(0);
  const challenge = sent(answer.onMessage(sent(dial.start(0)), 0));
  const fields = decodeCbor(challenge) as Map<string, Bytes>;
  const reflected = encodeHandshake({
    type: "proof",
    signature: fields.get("signature") as Bytes,
  });
  assert.equal(failure(answer.onMessage(reflected, 0)), "link.bad_proof");
});

Deno.test("messages out of their turn are refused", () => {
  const { messages } = runHandshake(dialler(), answerer());
  const [hello, challenge, proof, welcome] = messages as [
    Bytes,
    Bytes,
    Bytes,
    Bytes,
  ];
  const early = answerer();
  early.start(0);
  assert.equal(failure(early.onMessage(proof, 0)), "link.out_of_order");
  const twice = answerer();
  twice.start(0);
  sent(twice.onMessage(hello, 0));
  assert.equal(failure(twice.onMessage(hello, 0)), "link.out_of_order");
  const dial = dialler();
  dial.start(0);
  assert.equal(failure(dial.onMessage(welcome, 0)), "link.out_of_order");
  const unstarted = dialler();
  assert.equal(failure(unstarted.onMessage(challenge, 0)), "link.out_of_order");
});

Deno.test("AnswererHandshake.onMessage() refuses another network", () => {
  const stranger = testNode(otherNetwork);
  const answer = answerer();
  answer.start(0);
  const hello = sent(
    dialler({
      network: otherNetwork,
      identity: stranger.identity,
      record: stranger.record.encoded,
    }).start(0),
  );
  assert.equal(failure(answer.onMessage(hello, 0)), "link.wrong_network");
});

Deno.test("a man in the middle who rewrites the network is found out", () => {
  const outcome = runHandshake(
    dialler({ network: otherNetwork }),
    answerer(),
    (message, index) =>
      index === 0 ? altered(message, "network", network.name) : message,
  );
  assert.equal(outcome.dialler, "link.bad_signature");
  assert.equal(outcome.answerer, "link.cut");
});

Deno.test("the highest common version is chosen", () => {
  const cases: [number[], number[], number | "link.version"][] = [
    [[1], [1], 1],
    [[1, 2], [2, 1], 2],
    [[3, 2, 1], [1, 2], 2],
    [[4, 1], [3, 2, 1], 1],
    [[2], [1], "link.version"],
    [[1], [2, 3], "link.version"],
  ];
  for (const [ours, theirs, expected] of cases) {
    const outcome = runHandshake(
      dialler({ versions: ours }),
      answerer({ versions: theirs }),
    );
    const got = typeof outcome.answerer === "object"
      ? outcome.answerer.version
      : outcome.answerer;
    assert.equal(got, expected);
    assert.equal(
      typeof outcome.dialler === "object" && outcome.dialler.version,
      typeof expected === "number" && expected,
    );
  }
});

Deno.test("a man in the middle who strikes out a version is found out", () => {
  const outcome = runHandshake(
    dialler({ versions: [1, 2] }),
    answerer({ versions: [1, 2] }),
    (message, index) =>
      index === 0 ? altered(message, "versions", [1]) : message,
  );
  assert.equal(outcome.dialler, "link.bad_signature");
  assert.notEqual(typeof outcome.answerer, "object");
});

Deno.test("DiallerHandshake.onMessage() refuses less than the highest common version", () => {
  // The answerer's machine cannot do this; a dishonest program can.
  const lazy = answerer({ versions: [1, 2] });
  const dial = dialler({ versions: [1, 2] });
  const onHello = lazy.onMessage.bind(lazy);
  lazy.start(0);
  const hello = sent(dial.start(0));
  const challenge = sent(onHello(hello, 0));
  const fields = decodeCbor(challenge) as Map<string, Bytes>;
  const body = altered(fields.get("body") as Bytes, "version", 1);
  const forged = resigned(hello, body);
  assert.equal(failure(dial.onMessage(forged, 0)), "link.downgrade");
});

/** A challenge with this body, signed by Bob as his own machine would. */
function resigned(
  hello: Bytes,
  body: Bytes,
): Bytes {
  const said = decodeHandshake(hello);
  assert.ok(said.type === "hello");
  const fields = decodeCbor(body) as Map<string, Bytes>;
  return encodeHandshake({
    type: "challenge",
    body,
    signature: bob.identity.sign(
      ANSWERER_CONTEXT,
      transcriptHash(crypto, {
        network: network.name,
        diallerKey: said.publicKey,
        answererKey: bob.identity.publicKey,
        diallerNonce: said.nonce,
        answererNonce: fields.get("nonce") as Bytes,
        messages: [hello, body],
      }),
    ),
  });
}

Deno.test("unknown, missing, doubled and mistyped fields are refused", () => {
  const hello = sent(dialler().start(0));
  const cases: [Bytes, string][] = [
    [altered(hello, "extra", 1), "wire.unknown_field"],
    [altered(hello, "nonce", undefined), "wire.field"],
    [altered(hello, "nonce", random.bytes(31)), "wire.field"],
    [altered(hello, "publicKey", random.bytes(33)), "wire.field"],
    [altered(hello, "record", random.bytes(1025)), "wire.field"],
    [altered(hello, "network", "x".repeat(33)), "wire.field"],
    [altered(hello, "versions", []), "link.message"],
    [altered(hello, "versions", [1, 1]), "link.message"],
    [altered(hello, "versions", [0, 1]), "link.message"],
    [altered(hello, "versions", [-1]), "link.message"],
    [altered(hello, "versions", [65_536]), "link.message"],
    [altered(hello, "versions", ["1"]), "link.message"],
    [altered(hello, "versions", [1, 2, 3, 4, 5, 6, 7, 8, 9]), "wire.field"],
    [altered(hello, "type", "hullo"), "link.message"],
    [altered(hello, "type", 1), "wire.field"],
    [altered(hello, "type", undefined), "wire.field"],
    [encodeCbor([]), "wire.field"],
    // {"type": "proof"} with its only field twice
    [
      Uint8Array.fromHex(
        "a2647479706565" + "70726f6f66" + "647479706565" + "70726f6f66",
      ),
      "wire.cbor_keys",
    ],
  ];
  for (const [message, code] of cases) {
    const answer = answerer();
    answer.start(0);
    assert.equal(failure(answer.onMessage(message, 0)), code);
  }
});

Deno.test("onAdmitted() refuses a record of another node", () => {
  const answer = answerer();
  const dial = dialler({ record: mallory.record.encoded });
  answer.start(0);
  const proof = sent(
    dial.onMessage(sent(answer.onMessage(sent(dial.start(0)), 0)), 0),
  );
  const [admit] = answer.onMessage(proof, 0);
  assert.equal(admit?.type, "admit");
  assert.equal(
    failure(answer.onAdmitted(mallory.record, ADMISSION, 0)),
    "link.record_identity",
  );
  const swapped = runHandshake(
    dialler(),
    answerer({ record: mallory.record.encoded }),
  );
  assert.equal(swapped.dialler, "link.record_identity");
});

Deno.test("encodeHandshake() tells an address without its zone, and nothing that is none", () => {
  const welcome = (host: string) =>
    encodeHandshake({
      type: "welcome",
      observedAddress: { host, port: 1 },
      limits: ADMISSION.limits,
    });
  for (
    const [host, told] of [
      ["fe80::1%eth0", "fe80::1"],
      ["::ffff:192.0.2.1", "192.0.2.1"],
      ["2001:db8::7", "2001:db8::7"],
    ] as const
  ) {
    const message = decodeHandshake(welcome(host));
    assert.ok(message.type === "welcome");
    assert.equal(message.observedAddress.host, told);
  }
  assert.throws(() => welcome("node.example"), {
    code: "link.observed_address",
  });
});

Deno.test("AnswererHandshake tells every failure in the same words", () => {
  const refusals = new Set<string>();
  const hello = sent(dialler().start(0));
  const failing: ((machine: ReturnType<typeof answerer>) => unknown)[] = [
    (machine) => sent(machine.onMessage(new Uint8Array(3), 0)).toHex(),
    (machine) => sent(machine.onTime(10_000)).toHex(),
    (machine) => sent(machine.onEnd(0)).toHex(),
    (machine) =>
      sent(machine.onMessage(altered(hello, "network", "x"), 0)).toHex(),
    (machine) =>
      sent(machine.onMessage(altered(hello, "versions", [9]), 0)).toHex(),
    (machine) =>
      sent(
        machine.onRefused(new UnreachableError("auth.verifier_busy", "x"), 0),
      ).toHex(),
  ];
  for (const fail of failing) {
    const machine = answerer();
    machine.start(0);
    refusals.add(String(fail(machine)));
  }
  assert.equal(refusals.size, 1);
});

Deno.test("DiallerHandshake.onMessage() tells refused from busy", () => {
  for (const code of ["refused", "busy"] as const) {
    const dial = dialler();
    dial.start(0);
    const refused = encodeHandshake({ type: "refused", code });
    assert.equal(failure(dial.onMessage(refused, 0)), `link.${code}`);
  }
  const busy = answerer();
  busy.start(0);
  const actions = busy.onRefused(new UnreachableError("link.busy", "x"), 0);
  assert.deepEqual(decodeHandshake(sent(actions)), {
    type: "refused",
    code: "busy",
  });
});

Deno.test("onTime() cuts off a peer that is silent for 10 s, not before", () => {
  for (const machine of [dialler(), answerer()]) {
    machine.start(500);
    assert.equal(machine.deadlineMs, 10_500);
    assert.deepEqual(machine.onTime(10_499), []);
    assert.equal(failure(machine.onTime(10_500)), "link.handshake_timeout");
    assert.deepEqual(machine.onTime(99_000), []);
  }
});

/** Bring a dialler to where its driver verifies the record. */
function bringToVerifying(dial: ReturnType<typeof dialler>): void {
  const answer = answerer();
  answer.start(0);
  const challenge = sent(answer.onMessage(sent(dial.start(0)), 0));
  answer.onMessage(sent(dial.onMessage(challenge, 0)), 0);
  const [action] = answer.onAdmitted(alice.record, ADMISSION, 0);
  assert.ok(action?.type === "send");
  const [admit] = dial.onMessage(action.message, 0);
  assert.equal(admit?.type, "admit");
}

Deno.test("onEnd() fails a handshake that was cut, and leaves a finished one alone", () => {
  const dial = dialler();
  const answer = answerer();
  assert.ok(typeof runHandshake(dial, answer).dialler === "object");
  assert.deepEqual(dial.onEnd(0), []);
  assert.deepEqual(answer.onEnd(0), []);
  const verifying = dialler();
  bringToVerifying(verifying);
  assert.deepEqual(verifying.onEnd(0), []);
  assert.ok(established(verifying.onAdmitted(bob.record, 0)) !== undefined);
  const cut = dialler();
  cut.start(0);
  assert.equal(failure(cut.onEnd(0)), "link.cut");
});

Deno.test("onAdmitted() before its turn is our own bug", () => {
  const answer = answerer();
  answer.start(0);
  assert.throws(() => answer.onAdmitted(undefined, ADMISSION, 0), {
    code: "link.handshake_order",
  });
});
