import assert from "node:assert/strict";
import fc from "fast-check";
import { Identity } from "../../lib/auth/identity.ts";
import {
  checkLapse,
  decodeInvite,
  formatInvite,
  type Invite,
  type InviteContent,
  MAX_INVITE_RELAYS,
  networkFingerprint,
  parseInvite,
  signInvite,
} from "../../lib/auth/invite.ts";
import {
  formatInviteLine,
  isInviteLine,
  MAX_LINE_CHARACTERS,
} from "../../lib/auth/invite_line.ts";
import { customNetwork, networkParameters } from "../../lib/auth/network.ts";
import {
  formatNodeAddress,
  type NodeAddress,
  parseNodeAddress,
} from "../../lib/auth/node_address.ts";
import { concat } from "../../lib/base/bytes.ts";
import { ConfigError, errorCode } from "../../lib/base/errors.ts";
import { nativeSuite } from "../../lib/crypto/native.ts";
import { nobleSuite } from "../../lib/crypto/noble.ts";
import { type CborValue, encodeCbor } from "../../lib/wire/cbor.ts";
import vectors from "../vectors/invite.json" with { type: "json" };

const crypto = nobleSuite();
const KEY = new Identity(crypto, new Uint8Array(32).fill(5));
const GARDEN = customNetwork({
  name: "garden",
  powDifficulty: 0,
  allowPrivateAddresses: true,
});
const EXPIRY_MS = 1_800_000_000_000;

function relay(number: number, host = `192.168.${number}.1`): NodeAddress {
  const { publicKey } = new Identity(crypto, new Uint8Array(32).fill(number));
  return { publicKey, address: { host, port: 4000 + number } };
}

const CONTENT: InviteContent = {
  network: GARDEN,
  relays: [relay(1), relay(2), relay(3)],
  expiryMs: EXPIRY_MS,
};
const INVITE = signInvite(crypto, KEY, CONTENT);
const LINE = formatInvite(crypto, INVITE);

/** What an invite says, as a test compares it. */
function said({ network, networkKey, relays, expiryMs }: Invite) {
  return {
    network,
    networkKey,
    relays: relays.map(formatNodeAddress),
    expiryMs,
  };
}

/** Sign a body that says anything at all, as the holder of the key can. */
function signed(body: CborValue): Uint8Array {
  const bytes = encodeCbor(body);
  return concat(bytes, KEY.sign("anonnet v1 invite", bytes));
}

const BODY = {
  name: "garden",
  work: 0,
  private: true,
  key: KEY.publicKey,
  relays: [
    concat(
      relay(1).publicKey,
      Uint8Array.of(192, 168, 1, 1),
      Uint8Array.of(15, 161),
    ),
  ],
  until: EXPIRY_MS / 60_000,
};

function refuses(text: string, code: string, words: RegExp): void {
  assert.throws(() => parseInvite(crypto, text), (error) => {
    assert.ok(error instanceof ConfigError);
    assert.equal(error.code, code, error.message);
    assert.match(error.message, words);
    return true;
  });
}

for (const suite of [nobleSuite(), nativeSuite()]) {
  for (const vector of vectors.invites) {
    Deno.test(`signInvite() gives the line of another implementation: ${vector.comment}, ${suite.name}`, () => {
      const { seed, name, powDifficulty, allowPrivateAddresses, line } = vector;
      using key = new Identity(suite, Uint8Array.fromHex(seed));
      const content = {
        network: { name, powDifficulty, allowPrivateAddresses },
        relays: vector.relays.map(parseNodeAddress),
        expiryMs: vector.expiryMs,
      };
      const invite = signInvite(suite, key, content);
      assert.equal(formatInvite(suite, invite), line);
      assert.ok(invite.encoded.toHex().startsWith(vector.body));
      const read = parseInvite(suite, line);
      assert.deepEqual(read.relays, content.relays);
      assert.deepEqual(read.networkKey, key.publicKey);
      assert.equal(read.network.name, name);
      assert.equal(read.network.powDifficulty, powDifficulty);
      assert.equal(read.network.allowPrivateAddresses, allowPrivateAddresses);
      assert.equal(read.expiryMs, vector.expiryMs);
    });
  }
}

Deno.test("parseInvite() undoes formatInvite()", () => {
  const { networkKey, ...content } = said(INVITE);
  assert.deepEqual(networkKey, KEY.publicKey);
  assert.deepEqual(content, {
    ...CONTENT,
    relays: CONTENT.relays.map(formatNodeAddress),
  });
  assert.deepEqual(said(parseInvite(crypto, LINE)), said(INVITE));
});

Deno.test("signInvite() takes as many relays as fit into 600 characters, the first ones", () => {
  const long = customNetwork({ ...GARDEN, name: "n".repeat(32) });
  const hosts = [
    (at: number) => `10.${at}.0.1`,
    (at: number) => `fd00:${at + 1}::1`,
  ];
  const counts = hosts.flatMap((host) =>
    [networkParameters("local"), long].map((network) => {
      const relays = Array.from(
        { length: 12 },
        (_, at) => relay(at + 1, host(at)),
      );
      const invite = signInvite(crypto, KEY, { ...CONTENT, network, relays });
      const count = invite.relays.length;
      assert.deepEqual(invite.relays, relays.slice(0, count));
      assert.ok(formatInvite(crypto, invite).length <= MAX_LINE_CHARACTERS);
      return count;
    })
  );
  assert.deepEqual(counts, [7, 6, 5, 5]);
  assert.ok(Math.max(...counts) <= MAX_INVITE_RELAYS);
});

Deno.test("signInvite() refuses to make an invite without relays", () => {
  assert.throws(
    () => signInvite(crypto, KEY, { ...CONTENT, relays: [] }),
    RangeError,
  );
});

Deno.test("parseInvite() reads a line that was folded, quoted or put into brackets on the way", () => {
  const folded = LINE.replaceAll(/(.{72})/g, "$1\r\n");
  const quoted = LINE.replaceAll(/(.{60})/g, "$1\n> > ");
  for (
    const text of [
      folded,
      `> > ${quoted}\n`,
      ` \t${LINE}\n\n`,
      `<${LINE}>`,
      `"${LINE}".`,
      LINE.replaceAll(/(.{40})/g, "$1\u200b"),
      LINE.split("").join(" "),
    ]
  ) {
    assert.ok(isInviteLine(text), text);
    assert.deepEqual(said(parseInvite(crypto, text)), said(INVITE));
  }
});

Deno.test("parseInvite() says of each line that was cut short that it was, and by how much", () => {
  for (let length = "anonnet:".length; length < LINE.length; length++) {
    refuses(LINE.slice(0, length), "auth.invite_cut", /cut short.*missing/);
  }
  refuses(
    LINE.slice(0, -10),
    "auth.invite_cut",
    /the last 10 of its [0-9]+ characters are missing; copy the whole line/,
  );
});

Deno.test("parseInvite() says that the beginning is missing, or that it is something else", () => {
  for (let from = 1; from < LINE.length; from += 7) {
    refuses(LINE.slice(from), "auth.invite_scheme", /copy the whole line/);
  }
  for (const text of ["", "anon://abc@1.2.3.4:1", "hello", "\u200b"]) {
    assert.ok(!isInviteLine(text));
    refuses(text, "auth.invite_scheme", /does not begin with anonnet:/);
  }
});

Deno.test("parseInvite() notices each character that was changed", () => {
  const start = "anonnet:".length;
  for (let at = start; at < LINE.length; at++) {
    const other = LINE[at] === "A" ? "B" : "A";
    const edited = LINE.slice(0, at) + other + LINE.slice(at + 1);
    assert.throws(
      () => parseInvite(crypto, edited),
      (error) =>
        /^auth\.invite_(checksum|version|cut|long)$/.test(errorCode(error)),
      `${at}`,
    );
  }
  const middle = LINE.slice(0, 60) + "_" + LINE.slice(61);
  refuses(middle, "auth.invite_checksum", /changed on the way/);
});

Deno.test("parseInvite() says that a part in the middle is missing, or that more was copied along", () => {
  const gap = LINE.slice(0, 80) + LINE.slice(120);
  refuses(gap, "auth.invite_cut", /cut short/);
  refuses(LINE + LINE.slice(8, 40), "auth.invite_long", /behind its end/);
  refuses(LINE + "A".repeat(600), "auth.invite_long", /at most 600/);
  refuses(LINE + LINE, "auth.invite_long", /one line alone/);
  refuses(`${LINE.slice(0, 50)}…`, "auth.invite_character", /"…" belongs/);
  refuses(`${LINE}?utm=1`, "auth.invite_character", /"\?" belongs in no/);
});

Deno.test("parseInvite() says that a line is for another version, before all else", () => {
  const bytes = Uint8Array.fromBase64(LINE.slice(8), { alphabet: "base64url" });
  bytes[0] = 2;
  const other = "anonnet:" +
    bytes.toBase64({ alphabet: "base64url", omitPadding: true });
  const words =
    /for version 2 of the protocol, and this program speaks version 1/;
  refuses(other, "auth.invite_version", words);
  refuses(other.slice(0, 30), "auth.invite_version", words);
});

Deno.test("parseInvite() refuses what was changed after it was signed, with a checksum put right", () => {
  const stranger = relay(9);
  const forged = signInvite(crypto, KEY, { ...CONTENT, relays: [stranger] });
  const bodyBytes = INVITE.encoded.length - 64;
  const signature = forged.encoded.subarray(-64);
  for (
    const payload of [
      concat(INVITE.encoded.subarray(0, bodyBytes), signature),
      INVITE.encoded.map((byte, at) => at === 20 ? byte ^ 1 : byte),
      INVITE.encoded.map((byte, at) => at === bodyBytes + 3 ? byte ^ 1 : byte),
    ]
  ) {
    refuses(
      formatInviteLine(crypto, payload),
      "auth.invite_signature",
      /changed after it was signed/,
    );
  }
});

Deno.test("decodeInvite() refuses what makes no sense, though the holder of the key signed it", () => {
  assert.equal(decodeInvite(crypto, signed(BODY)).relays.length, 1);
  const [one = new Uint8Array()] = BODY.relays;
  const withIp = (...ip: number[]) =>
    concat(relay(1).publicKey, Uint8Array.from(ip), Uint8Array.of(15, 161));
  const bad: readonly (readonly [string, CborValue])[] = [
    ["no map", [1, 2]],
    ["unknown field", { ...BODY, more: 1 }],
    ["missing field", { ...BODY, until: undefined }],
    ["name", { ...BODY, name: "Garden" }],
    ["long name", { ...BODY, name: "g".repeat(33) }],
    ["work", { ...BODY, work: 33 }],
    ["other main", { ...BODY, name: "main" }],
    ["other local", { ...BODY, name: "local", work: 1 }],
    ["no relays", { ...BODY, relays: [] }],
    ["a relay twice", { ...BODY, relays: [one, one] }],
    ["nine relays", { ...BODY, relays: new Array(9).fill(one) }],
    ["short relay", { ...BODY, relays: [one.subarray(1)] }],
    ["empty relay", { ...BODY, relays: [new Uint8Array()] }],
    ["port 0", {
      ...BODY,
      relays: [concat(one.subarray(0, 36), Uint8Array.of(0, 0))],
    }],
    ["multicast", { ...BODY, relays: [withIp(224, 0, 0, 1)] }],
    ["private in public", { ...BODY, private: false }],
    [
      "IPv4 written as IPv6",
      {
        ...BODY,
        relays: [withIp(...new Array(10).fill(0), 255, 255, 10, 0, 0, 1)],
      },
    ],
    ["date beyond dates", { ...BODY, until: Number.MAX_SAFE_INTEGER }],
  ];
  for (const [what, body] of bad) {
    assert.throws(
      () => decodeInvite(crypto, signed(body)),
      { name: "ConfigError", code: "auth.invite_content" },
      what,
    );
  }
  for (const length of [0, 1, 63, 64, 65]) {
    assert.throws(() => decodeInvite(crypto, new Uint8Array(length)), {
      code: "auth.invite_content",
    });
  }
});

Deno.test("parseInvite() gives an invite or a ConfigError for any text", () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.string().map((text) => `anonnet:${text}`),
        fc.uint8Array({ maxLength: 430 }).map((bytes) =>
          formatInviteLine(crypto, bytes)
        ),
      ),
      (text) => {
        try {
          parseInvite(crypto, text);
        } catch (error) {
          assert.ok(error instanceof ConfigError);
          assert.match(error.code, /^auth\.invite_/);
        }
      },
    ),
    { numRuns: 300 },
  );
});

Deno.test("checkLapse() refuses an invite from the moment that it names, and shows both times", () => {
  checkLapse(INVITE, EXPIRY_MS - 1);
  assert.throws(() => checkLapse(INVITE, EXPIRY_MS), {
    name: "ConfigError",
    code: "auth.invite_lapsed",
    message:
      /lapsed at 2027-01-15 08:00 UTC, .*clock says 2027-01-15 08:00 UTC/,
  });
});

Deno.test("networkFingerprint() shows 20 letters of the key, in fives", () => {
  assert.match(
    networkFingerprint(KEY.publicKey),
    /^([a-z2-7]{5} ){3}[a-z2-7]{5}$/,
  );
});

Deno.test("isInviteLine() reads a text full of marks in time proportional to it", () => {
  const text = `x${'">'.repeat(100_000)}x`;
  const beganMs = performance.now();
  assert.equal(isInviteLine(text), false);
  // It took 100 s; now it takes a few milliseconds.
  assert.ok(performance.now() - beganMs < 5_000);
});
