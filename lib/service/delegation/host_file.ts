/**
 * The file that a host is given.
 *
 *     "anonnet host v1\n" ‖ CBOR { body: bytes, signature: bytes(64) }
 *     body      { issue, periods: [{ keys: [bytes(32)], period, rosters: bytes }], seed,
 *                 service, slot, slots: [uint] }
 *     rosters   at(8) ‖ expiry(8) ‖ revision(8) ‖ salt(16) ‖ 4 signatures(64), each after the other
 *     signature sign(service, "anonnet v1 delegation", body)
 *
 * The signature is seen by hosts alone: it finds files that were damaged or put together.
 *
 * @see protocol §9.1 "State directory"
 * @module
 */
import {
  asPublicKey,
  type Identity,
  type PublicKey,
  verifySigned,
} from "../../auth/identity.ts";
import { type Bytes, concat, equalBytes, utf8 } from "../../base/bytes.ts";
import { ConfigError, ProtocolError } from "../../base/errors.ts";
import {
  type CryptoSuite,
  ED25519_KEY_BYTES,
  SIGNATURE_BYTES,
} from "../../crypto/suite.ts";
import { encodeCbor } from "../../wire/cbor.ts";
import { decodeFields, type Fields } from "../../wire/fields.ts";
import { SALT_BYTES } from "../descriptor_box.ts";
import { DESCRIPTOR_REPLICAS } from "../descriptor_search.ts";
import { uint64 } from "../time_period.ts";
import {
  type DelegatedPeriod,
  type Delegation,
  delegationEndMs,
  MAX_DELEGATION_DAYS,
  type SignedRoster,
} from "./delegation.ts";
import { MAX_ISSUE } from "./issue.ts";
import { MAX_HOSTS } from "./roster.ts";
import { hostSigner } from "./service_key.ts";

/** Longest file, bytes. */
export const MAX_HOST_FILE_BYTES = 2 ** 20;

const PREFIX = utf8("anonnet host v");
const HEAD = concat(PREFIX, utf8("1\n"));
const CONTEXT = "anonnet v1 delegation";
const UINT_BYTES = 8;
const ROSTER_HEAD_BYTES = 3 * UINT_BYTES + SALT_BYTES;
const ROSTER_BYTES = ROSTER_HEAD_BYTES + DESCRIPTOR_REPLICAS * SIGNATURE_BYTES;
/** Today, yesterday and the days to come. */
const MAX_PERIODS = MAX_DELEGATION_DAYS + 2;
/** Rosters of a period: hourly for 40 hours. */
const MAX_ROSTERS = 48;

/** Write what a host is given. @param identity The service's. */
export function encodeHostFile(
  identity: Identity,
  { service, slot, seed, issue, periods }: Delegation,
): Bytes {
  const slots = periods[0]?.hosts.map(({ slot }) => slot) ?? [];
  const body = encodeCbor({
    issue,
    periods: periods.map(({ period, hosts, rosters }) => ({
      keys: hosts.map(({ key }) => key),
      period,
      rosters: concat(...rosters.map(packRoster)),
    })),
    seed,
    service,
    slot,
    slots,
  });
  const signature = identity.sign(CONTEXT, body);
  return concat(HEAD, encodeCbor({ body, signature }));
}

/**
 * Read what a host was given, and check all of it but the signatures of the rosters,
 * which the one over the file covers.
 *
 * @param path Stands in the messages.
 * @throws {ConfigError} `delegation.file` (not such a file), `delegation.version`,
 * `delegation.damaged` (edited, torn or put together), `delegation.future`,
 * `delegation.lapsed`.
 */
export function decodeHostFile(
  crypto: CryptoSuite,
  path: string,
  bytes: Uint8Array,
  unixMs: number,
): Delegation {
  const fail = (code: string, why: string) =>
    new ConfigError(
      `delegation.${code}`,
      `Cannot use host file "${path}": ${why}`,
    );
  const head = bytes.subarray(0, HEAD.length);
  if (!equalBytes(head, HEAD)) {
    if (equalBytes(head.subarray(0, PREFIX.length), PREFIX)) {
      throw fail("version", "a later version of this program wrote it");
    }
    throw fail(
      "file",
      `it is no host file; "anonnet delegate" makes them (a key file goes into ` +
        `the state directory)`,
    );
  }
  let delegation;
  try {
    delegation = readSigned(crypto, bytes.subarray(HEAD.length));
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
  }
  if (delegation === undefined) {
    throw fail(
      "damaged",
      "it was damaged or edited; copy it again from where it was made",
    );
  }
  checkTime(delegation, unixMs, fail);
  return delegation;
}

function checkTime(
  delegation: Delegation,
  unixMs: number,
  fail: (code: string, why: string) => ConfigError,
): void {
  const endMs = delegationEndMs(delegation);
  const fromMs = Math.min(
    ...delegation.periods.map(({ rosters }) => rosters[0]?.atMs ?? Infinity),
  );
  if (unixMs < fromMs) {
    throw fail(
      "future",
      `it is good from ${
        dateOf(fromMs)
      } on, and the clock of this machine says ` +
        `${dateOf(unixMs)}; set the clock`,
    );
  }
  if (unixMs < endMs) return;
  throw fail(
    "lapsed",
    `it was good until ${dateOf(endMs)}; run "anonnet delegate" where the ` +
      `service's key is, and copy the new file here`,
  );
}

function readSigned(
  crypto: CryptoSuite,
  bytes: Uint8Array,
): Delegation | undefined {
  const fields = decodeFields(bytes, "host file");
  const body = fields.bytes("body", { max: MAX_HOST_FILE_BYTES });
  const signature = fields.bytes("signature", { length: SIGNATURE_BYTES });
  fields.finish();
  const delegation = readBody(decodeFields(body, "host file body"));
  const { service, slot, seed, periods } = delegation;
  if (!verifySigned(crypto, service, CONTEXT, body, signature)) {
    return undefined;
  }
  const isHost = periods.length > 0 && periods.every(({ period, hosts }) => {
    const named = hosts.find((host) => host.slot === slot);
    const { publicKey } = hostSigner(crypto, seed, period);
    return named !== undefined && equalBytes(named.key, publicKey);
  });
  return isHost ? delegation : undefined;
}

function readBody(fields: Fields): Delegation {
  const issue = fields.uint("issue", MAX_ISSUE);
  const service: PublicKey = asPublicKey(
    fields.bytes("service", { length: ED25519_KEY_BYTES }),
  );
  const slot = fields.uint("slot", MAX_HOSTS);
  const seed = fields.bytes("seed", { length: ED25519_KEY_BYTES });
  const slots = fields.array("slots", MAX_HOSTS).map(Number);
  const periods = fields.mapArray("periods", MAX_PERIODS)
    .map((period) => readPeriod(period, slots));
  fields.finish();
  return { service, slot, seed, issue, periods };
}

function readPeriod(fields: Fields, slots: readonly number[]): DelegatedPeriod {
  const period = fields.uint("period");
  const keys = fields.bytesArray("keys", MAX_HOSTS, {
    length: ED25519_KEY_BYTES,
  });
  const packed = fields.bytes("rosters", { max: MAX_ROSTERS * ROSTER_BYTES });
  fields.finish();
  const isWhole = keys.length === slots.length && packed.length > 0 &&
    packed.length % ROSTER_BYTES === 0;
  if (!isWhole) {
    throw new ProtocolError(
      "delegation.damaged",
      "Cannot read host file: what belongs together differs in length",
    );
  }
  const hosts = keys.map((key, index) => ({
    key: asPublicKey(key),
    slot: slots[index] ?? 0,
  }));
  const rosters: SignedRoster[] = [];
  for (let at = 0; at < packed.length; at += ROSTER_BYTES) {
    rosters.push(unpackRoster(packed.subarray(at, at + ROSTER_BYTES)));
  }
  return { period, hosts, rosters };
}

function packRoster(roster: SignedRoster): Bytes {
  const { atMs, expiryMs, revision, salt, signatures } = roster;
  return concat(
    uint64(atMs),
    uint64(expiryMs),
    uint64(revision),
    salt,
    ...signatures,
  );
}

function unpackRoster(bytes: Uint8Array): SignedRoster {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const uint = (index: number) => Number(view.getBigUint64(index * UINT_BYTES));
  return {
    atMs: uint(0),
    expiryMs: uint(1),
    revision: uint(2),
    salt: bytes.slice(3 * UINT_BYTES, ROSTER_HEAD_BYTES),
    signatures: Array.from({ length: DESCRIPTOR_REPLICAS }, (_, replica) => {
      const at = ROSTER_HEAD_BYTES + replica * SIGNATURE_BYTES;
      return bytes.slice(at, at + SIGNATURE_BYTES);
    }),
  };
}

/** A moment, to the minute. */
export function dateOf(unixMs: number): string {
  return `${new Date(unixMs).toISOString().slice(0, 16).replace("T", " ")} UTC`;
}
