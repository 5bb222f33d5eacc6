/**
 * Descriptors to and from the DHT, by circuits: no node that stores one learns who
 * published it or who reads it.
 *
 *     publish   directory circuit ── dht_put × 4 replicas ──▶ copies
 *     read      directory circuit ── dht_get ──▶ record ──▶ checks ──▶ descriptor
 *
 * @see protocol §7.3 "Descriptors"
 * @module
 */
import type { PublicKey } from "../../auth/identity.ts";
import { type Bytes, equalBytes, wipe } from "../../base/bytes.ts";
import { ProtocolError } from "../../base/errors.ts";
import {
  checkStoredRecord,
  createStoredRecord,
  decodeStoredRecord,
  selfCertifyingKey,
  type StoredRecord,
} from "../../dht/records/stored_record.ts";
import {
  decodeDescriptor,
  type DescriptorName,
  encodeDescriptor,
  type IntroductionPoint,
} from "../../service/descriptor.ts";
import { DESCRIPTOR_REPLICAS } from "../../service/descriptor_search.ts";
import type { KnownDescriptor } from "../../service/known_descriptors.ts";
import type { ServiceIdentity } from "../../service/service_identity.ts";
import {
  blindedSigner,
  OVERLAP_MS,
  type TimePeriod,
} from "../../service/time_period.ts";
import type { ServiceCircuit, WaitLimit } from "../circuit/circuits.ts";
import type { ServiceContext } from "../session/service_context.ts";

/** What this version can do beyond the first one: nothing yet. */
const FEATURES: readonly string[] = [];

/** What is published. */
export interface Publishing {
  readonly identity: ServiceIdentity;
  readonly period: TimePeriod;
  readonly revision: number;
  /** When its records end, unix ms. */
  readonly expiry: number;
  readonly points: readonly IntroductionPoint[];
  /** Keys of those who may read it; empty: every client. */
  readonly clients: readonly Bytes[];
  /** The first place has it: it can be found from now on. */
  readonly onFirst: () => void;
}

/**
 * Publish a descriptor in all its places, by one circuit.
 *
 * @returns How many copies are stored: 0 when no client can find it.
 */
export async function publishDescriptor(
  context: ServiceContext,
  circuit: ServiceCircuit,
  publishing: Publishing,
  limit: WaitLimit,
): Promise<number> {
  const { crypto, network, random } = context;
  const { identity, period, revision, expiry } = publishing;
  const { points, clients, onFirst } = publishing;
  const seed = identity.exportSeed();
  const signer = blindedSigner(crypto, seed, identity.publicKey, period);
  wipe(seed);
  const name: DescriptorName = {
    publicKey: identity.publicKey,
    blinded: signer.publicKey,
    period,
    revision,
  };
  const content = { points, features: FEATURES };
  const value = encodeDescriptor(crypto, random, name, content, clients);
  let copies = 0;
  const store = async (replica: number): Promise<void> => {
    const record = createStoredRecord(network, signer, {
      key: selfCertifyingKey(crypto, signer.publicKey, replica),
      sequence: revision,
      expiry,
      value,
    });
    const added = await circuit.dhtPut(record.encoded, limit);
    if (copies === 0 && added > 0) onFirst();
    copies += added;
  };
  const replicas = Array.from({ length: DESCRIPTOR_REPLICAS }, (_, n) => n);
  // One place that cannot be reached must not hide that others were.
  await Promise.allSettled(replicas.map(store));
  return copies;
}

/** Which descriptor is wanted. */
export interface Wanted {
  readonly service: PublicKey;
  readonly period: TimePeriod;
  /** The service's key blinded for the period, which takes long to compute. */
  readonly blinded: PublicKey;
  /** Older ones are refused. */
  readonly leastRevision: number;
  /** The key that we keep for this service, if there is one. */
  readonly clientSecret: Bytes | undefined;
}

/**
 * Read one replica of a descriptor, and check all of it.
 *
 * @returns `undefined` when no storing node has it.
 * @throws {ProtocolError} `service.descriptor_*`, `dht.record_*` or `wire.*` when
 * what was found is not the one wanted.
 * @throws {UnreachableError} `circuit.*`.
 */
export async function readDescriptor(
  context: ServiceContext,
  circuit: ServiceCircuit,
  wanted: Wanted,
  replica: number,
  limit: WaitLimit,
): Promise<KnownDescriptor | undefined> {
  const { clock, crypto, network } = context;
  const { service, period, blinded, leastRevision, clientSecret } = wanted;
  const key = selfCertifyingKey(crypto, blinded, replica);
  const bytes = await circuit.dhtGet(key, limit);
  if (bytes === undefined) return undefined;
  const unixMs = believedTime(decodeStoredRecord(bytes), clock.unixMs());
  const record = checkStoredRecord(crypto, network, bytes, key, unixMs);
  // Any node may store something under a key that is not its own.
  if (!equalBytes(record.publisher, blinded)) throw fail("publisher");
  if (record.sequence < leastRevision) throw fail("rolled_back");
  const name = {
    publicKey: service,
    blinded,
    period,
    revision: record.sequence,
  };
  const content = decodeDescriptor(crypto, name, record.value, clientSecret);
  return { name, content };
}

/**
 * The time at which a descriptor is judged: as near to its end as our clock may be
 * wrong. Those who store it have judged it by clocks that are right.
 */
function believedTime({ expiry }: StoredRecord, unixMs: number): number {
  const [earliest, latest] = [unixMs - OVERLAP_MS, unixMs + OVERLAP_MS];
  return Math.min(Math.max(expiry - 1, earliest), latest);
}

function fail(code: string): ProtocolError {
  return new ProtocolError(
    `service.descriptor_${code}`,
    "Cannot take descriptor: it is not the one that was asked for",
  );
}
