/**
 * Signed records, and what else nodes write of themselves. Those who wrote a record
 * hold its key: it is mutated before it is signed.
 *
 * @module
 */
import { decode } from "cborg";
import {
  decodeInvite,
  parseInvite,
  signInvite,
} from "../../../lib/auth/invite.ts";
import { formatInviteLine } from "../../../lib/auth/invite_line.ts";
import { signFamily } from "../../../lib/auth/family.ts";
import type { NodeAddress } from "../../../lib/auth/node_address.ts";
import { customNetwork, networkParameters } from "../../../lib/auth/network.ts";
import { decodeNodeRecord } from "../../../lib/auth/node_record.ts";
import {
  decodeReachAnswer,
  encodeReachAnswer,
} from "../../../lib/auth/own_reach.ts";
import { type Bytes, concat } from "../../../lib/base/bytes.ts";
import { ConfigError } from "../../../lib/base/errors.ts";
import { latin1Text } from "../../../lib/http/latin1.ts";
import { SIGNATURE_BYTES } from "../../../lib/crypto/suite.ts";
import { nativeSuite } from "../../../lib/crypto/native.ts";
import {
  checkStoredRecord,
  createStoredRecord,
  decodeStoredRecord,
} from "../../../lib/dht/records/stored_record.ts";
import { encodeCbor } from "../../../lib/wire/cbor.ts";
import {
  TEST_UNIX_MS,
  testBytes,
  testIdentity,
  testRecord,
} from "../../support/nodes.ts";
import type { FuzzTarget } from "../fuzz_target.ts";
import { decoderTarget } from "./decoder_target.ts";

const CRYPTO = nativeSuite();
const NETWORK = networkParameters("local");
const PUBLIC_NETWORK = networkParameters("main");
const OWNER = testIdentity(CRYPTO, 71);

/** Sign again what was mutated, where it is a map at all. */
function signedAgain(
  bytes: Bytes,
  sign: (unsigned: Bytes) => Uint8Array,
): Bytes {
  try {
    const map: unknown = decode(bytes, { useMaps: true });
    if (!(map instanceof Map) || !map.delete("signature")) return bytes;
    const signature = sign(encodeCbor(map));
    return encodeCbor(new Map([...map, ["signature", signature]]));
  } catch {
    return bytes;
  }
}

function signedNode(bytes: Bytes): Bytes {
  return signedAgain(
    bytes,
    (unsigned) => OWNER.sign("anonnet v1 node record", unsigned),
  );
}

function nodeRecords(): Bytes[] {
  const addresses = [
    { host: "127.0.0.1", port: 4001 },
    { host: "2001:db8::1", port: 65_535 },
  ];
  return [
    testRecord(CRYPTO, 71),
    testRecord(CRYPTO, 71, { addresses }),
    testRecord(CRYPTO, 71, { addresses: [], flags: [] }),
    testRecord(CRYPTO, 71, {
      family: signFamily(testIdentity(CRYPTO, 73), OWNER.publicKey),
    }),
  ].map(({ encoded }) => encoded);
}

const NODE_RECORD: FuzzTarget = decoderTarget({
  name: "auth/node_record",
  about: "node records of a node that signs what it likes",
  allowed: ["wire", "auth"],
  seeds: nodeRecords,
  decode: (bytes) => {
    const signed = signedNode(bytes);
    const record = decodeNodeRecord(CRYPTO, NETWORK, signed, TEST_UNIX_MS);
    return { record, signed };
  },
  check: ({ record: { addresses } }) => {
    for (const { host, port } of addresses) {
      if (host === "" || !(port >= 1 && port <= 65_535)) {
        throw new RangeError(`An address of ${host} ${port}`);
      }
    }
  },
  word: ({ record: { addresses, flags } }) =>
    `${addresses.length} addresses ${flags.length} flags`,
});

const PUBLIC_RECORD: FuzzTarget = decoderTarget({
  name: "auth/foreign_record",
  about: "node records in a network that they were not made for, unsigned",
  allowed: ["wire", "auth"],
  seeds: nodeRecords,
  decode: (bytes) =>
    decodeNodeRecord(CRYPTO, PUBLIC_NETWORK, bytes, TEST_UNIX_MS),
});

const STORED_EXPIRY = TEST_UNIX_MS + 3_600_000;
const STORED_KEY = testBytes("a key", 32);

function storedRecords(): Bytes[] {
  const content = { key: STORED_KEY, sequence: 1, expiry: STORED_EXPIRY };
  const signer = CRYPTO.signer(testBytes("publisher", 32));
  return [0, 100, 5000].map((length) =>
    createStoredRecord(NETWORK, signer, {
      ...content,
      value: new Uint8Array(length),
    }).encoded
  );
}

const STORED_RECORD: FuzzTarget = decoderTarget({
  name: "dht/stored_record",
  about: "stored records, unsigned",
  allowed: ["wire"],
  seeds: storedRecords,
  decode: decodeStoredRecord,
  encode: ({ key, publisher, sequence, expiry, value, signature }) =>
    encodeCbor({ key, publisher, sequence, expiry, value, signature }),
});

const FOUND_RECORD: FuzzTarget = decoderTarget({
  name: "dht/found_record",
  about: "stored records as an answer to a look-up",
  allowed: ["wire", "dht"],
  seeds: storedRecords,
  decode: (bytes) =>
    checkStoredRecord(CRYPTO, NETWORK, bytes, STORED_KEY, TEST_UNIX_MS),
});

const REACH_ANSWER: FuzzTarget = decoderTarget({
  name: "auth/reach_answer",
  about: "what a relay says of whether it reached us",
  allowed: ["auth.reach_answer"],
  seeds: () => [Uint8Array.of(0), Uint8Array.of(1), new Uint8Array(0)],
  decode: decodeReachAnswer,
  encode: encodeReachAnswer,
});

const INVITER = testIdentity(CRYPTO, 72);
const INVITE_RELAYS: readonly NodeAddress[] = [
  { host: "192.0.2.1", port: 4001 },
  { host: "2001:db8::1", port: 65_535 },
].map((address, n) => ({
  address,
  publicKey: testIdentity(CRYPTO, 80 + n).publicKey,
}));

/** Bodies of invites, without their signatures. */
function inviteBodies(): Bytes[] {
  const expiryMs = TEST_UNIX_MS + 3_600_000;
  const own = { name: "own", powDifficulty: 0, allowPrivateAddresses: true };
  return [own, NETWORK].map((network) =>
    signInvite(CRYPTO, INVITER, {
      network: customNetwork({ ...own, name: network.name }),
      relays: INVITE_RELAYS,
      expiryMs,
    }).encoded.slice(0, -SIGNATURE_BYTES)
  );
}

const INVITE: FuzzTarget = decoderTarget({
  name: "auth/invite",
  about: "invites of one who signs what it likes, and lines that users paste",
  allowed: ["auth"],
  seeds: inviteBodies,
  decode: (body) => {
    const signature = INVITER.sign("anonnet v1 invite", body);
    const signed = concat(body, signature);
    try {
      parseInvite(CRYPTO, latin1Text(body));
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
    }
    const line = formatInviteLine(CRYPTO, signed);
    const invite = decodeInvite(CRYPTO, signed);
    if (line.length < 2000) parseInvite(CRYPTO, line);
    return invite;
  },
  word: ({ relays }) => `${relays.length} relays`,
});

/** Targets of signed records. */
export const RECORD_TARGETS: readonly FuzzTarget[] = [
  NODE_RECORD,
  PUBLIC_RECORD,
  STORED_RECORD,
  FOUND_RECORD,
  REACH_ANSWER,
  INVITE,
];
