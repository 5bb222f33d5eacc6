/**
 * What a host is given in place of the service's key: a key of its own, and the
 * rosters that name it, signed ahead of time, for some days.
 *
 *     service key ──▶ rosters of every hour, of each period ─┐
 *                ──▶ seed of host 1, 2, …                  ├──▶ a file for each host
 *                                                         ─┘
 *     host seed = HKDF(service seed, slot(1) ‖ born(8), "anonnet v1 host seed", 32)
 *
 * Only signatures of rosters are kept: their bytes follow from the rest. The blinded
 * key itself cannot be given away for a day: with the factor, which all who know the
 * address can work out, it is as good as the service's key.
 *
 * @see protocol §7.8 "Several hosts"
 * @module
 */
import type { Identity, PublicKey } from "../../auth/identity.ts";
import type { NetworkParameters } from "../../auth/network.ts";
import { type Bytes, concat, utf8, wipe } from "../../base/bytes.ts";
import { type Random, randomBetween } from "../../base/random.ts";
import { type CryptoSuite, ED25519_KEY_BYTES } from "../../crypto/suite.ts";
import {
  createStoredRecord,
  selfCertifyingKey,
  type StoredRecord,
} from "../../dht/records/stored_record.ts";
import { SALT_BYTES } from "../descriptor_box.ts";
import { DescriptorDates } from "../descriptor_dates.ts";
import { DESCRIPTOR_REPLICAS } from "../descriptor_search.ts";
import {
  blindedKey,
  blindedSigner,
  PERIOD_MS,
  type TimePeriod,
  timePeriod,
  uint64,
} from "../time_period.ts";
import { encodeRoster, type RosterHost } from "./roster.ts";
import { hostSigner } from "./service_key.ts";

/** Days that a delegation may be for. */
export const MAX_DELEGATION_DAYS = 30;
/** Rosters are as far apart as the publications of a service, ms. */
const APART_MS = { least: 54 * 60_000, most: 66 * 60_000 } as const;
/** The first roster is of so long ago: a host's clock may be behind, ms. */
const BEFORE_MS = 2 * 3_600_000;

const HOST_SEED_INFO = utf8("anonnet v1 host seed");

/** One roster, but for what follows from its delegation. */
export interface SignedRoster {
  /** From when on it is published, unix ms. */
  readonly atMs: number;
  readonly expiryMs: number;
  readonly revision: number;
  readonly salt: Bytes;
  /** Of its records, by replica. */
  readonly signatures: readonly Bytes[];
}

/** What is delegated for one period. */
export interface DelegatedPeriod {
  readonly period: TimePeriod;
  readonly hosts: readonly RosterHost[];
  /** By their times, at least one. */
  readonly rosters: readonly SignedRoster[];
}

/** What one host is given. */
export interface Delegation {
  /** A. */
  readonly service: PublicKey;
  /** The host's number. */
  readonly slot: number;
  /** The host's secret, 32 bytes. */
  readonly seed: Bytes;
  readonly issue: number;
  /** One after the other, at least one. */
  readonly periods: readonly DelegatedPeriod[];
}

/** A host to be named. */
export interface NamedHost {
  readonly slot: number;
  /** The issue that first named it with the key that it has. */
  readonly born: number;
}

/** What is delegated, to whom, and for how long. */
export interface DelegationPlan {
  readonly issue: number;
  /** By slot, at least one. */
  readonly hosts: readonly NamedHost[];
  /** Whole days, 1 to {@linkcode MAX_DELEGATION_DAYS}; today comes on top. */
  readonly days: number;
  /** Now. */
  readonly unixMs: number;
}

/** Delegate the key of a service. @returns What each host is given, by slot. */
export function delegate(
  crypto: CryptoSuite,
  random: Random,
  network: NetworkParameters,
  identity: Identity,
  plan: DelegationPlan,
): Delegation[] {
  const { issue, days, unixMs } = plan;
  const seed = identity.exportSeed();
  const hosts = plan.hosts.map(({ slot, born }) => ({
    slot,
    seed: hostSeed(crypto, seed, slot, born),
  }));
  const dates = new DescriptorDates(crypto, seed, { issue });
  const today = timePeriod(unixMs);
  const periods: DelegatedPeriod[] = [];
  for (let period = today - 1; period <= today + days; period++) {
    if (dates.span(period).untilMs <= unixMs) continue;
    const named = hosts.map(({ slot, seed }) => ({
      slot,
      key: hostSigner(crypto, seed, period).publicKey,
    }));
    const signer = blindedSigner(crypto, seed, identity.publicKey, period);
    const rosters = schedule(random, dates, period, unixMs).map((atMs) => {
      const roster = {
        atMs,
        expiryMs: dates.expiry(period, atMs),
        revision: dates.revision(period, atMs),
        salt: random.bytes(SALT_BYTES),
      };
      const content = { issue, period, hosts: named, roster };
      const records = recordsOf(crypto, network, identity.publicKey, content, {
        publicKey: signer.publicKey,
        sign: (_, message) => signer.sign(message),
      });
      return {
        ...roster,
        signatures: records.map(({ signature }) => signature),
      };
    });
    periods.push({ period, hosts: named, rosters });
  }
  wipe(seed);
  dates[Symbol.dispose]();
  const service = identity.publicKey;
  return hosts.map(({ slot, seed }) => ({
    service,
    slot,
    seed,
    issue,
    periods,
  }));
}

/** The last moment of a delegation, unix ms. */
export function delegationEndMs({ periods }: Delegation): number {
  return ((periods.at(-1)?.period ?? -1) + 1) * PERIOD_MS;
}

/** The records of a roster, by replica, as they are stored. */
export function rosterRecords(
  crypto: CryptoSuite,
  network: NetworkParameters,
  { service, issue }: Delegation,
  { period, hosts }: DelegatedPeriod,
  roster: SignedRoster,
): StoredRecord[] {
  const publicKey = blindedKey(crypto, service, period);
  const content = { issue, period, hosts, roster };
  return recordsOf(crypto, network, service, content, {
    publicKey,
    sign: (replica) => roster.signatures[replica] ?? new Uint8Array(0),
  });
}

/** What the records of one roster say. */
interface RosterContent {
  readonly issue: number;
  readonly period: TimePeriod;
  readonly hosts: readonly RosterHost[];
  readonly roster: Omit<SignedRoster, "signatures">;
}

function recordsOf(
  crypto: CryptoSuite,
  network: NetworkParameters,
  publicKey: PublicKey,
  { issue, period, hosts, roster }: RosterContent,
  signer: {
    readonly publicKey: PublicKey;
    sign(replica: number, message: Uint8Array): Bytes;
  },
): StoredRecord[] {
  const { revision, expiryMs, salt } = roster;
  const blinded = signer.publicKey;
  const name = { publicKey, blinded, period, revision };
  const value = encodeRoster(crypto, name, { issue, hosts }, salt);
  return Array.from(
    { length: DESCRIPTOR_REPLICAS },
    (_, replica) =>
      createStoredRecord(
        network,
        {
          publicKey: blinded,
          sign: (message) => signer.sign(replica, message),
        },
        {
          key: selfCertifyingKey(crypto, blinded, replica),
          sequence: revision,
          expiry: expiryMs,
          value,
        },
      ),
  );
}

/** When the rosters of a period are published, as a service would publish. */
function schedule(
  random: Random,
  dates: DescriptorDates,
  period: TimePeriod,
  unixMs: number,
): number[] {
  const { fromMs, untilMs } = dates.span(period);
  const times: number[] = [];
  let atMs = Math.max(Math.ceil(fromMs), unixMs - BEFORE_MS);
  while (atMs < untilMs) {
    times.push(atMs);
    atMs += Math.floor(randomBetween(random, APART_MS.least, APART_MS.most));
  }
  return times;
}

function hostSeed(
  crypto: CryptoSuite,
  seed: Uint8Array,
  slot: number,
  born: number,
): Bytes {
  const salt = concat(Uint8Array.of(slot), uint64(born));
  return crypto.hkdf(seed, salt, HOST_SEED_INFO, ED25519_KEY_BYTES);
}
