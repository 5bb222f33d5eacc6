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
import { type Bytes, equalBytes } from "../../base/bytes.ts";
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
  encodeDescriptor,
  type IntroductionPoint,
} from "../../service/descriptor.ts";
import type { DescriptorName } from "../../service/descriptor_box.ts";
import { DESCRIPTOR_REPLICAS } from "../../service/descriptor_search.ts";
import {
  decodeServiceRecord,
  type ServiceRecord,
} from "../../service/delegation/roster.ts";
import type { ServiceKey } from "../../service/delegation/service_key.ts";
import type { KnownDescriptor } from "../../service/known_descriptors.ts";
import { OVERLAP_MS, type TimePeriod } from "../../service/time_period.ts";
import type { ServiceCircuit, WaitLimit } from "../circuit/circuits.ts";
import type { ServiceContext } from "../session/service_context.ts";

/** What is published. */
export interface Publishing {
  readonly key: ServiceKey;
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
  const { key, period, revision, expiry } = publishing;
  const { points, clients, onFirst } = publishing;
  const signer = key.signer(period);
  const name: DescriptorName = {
    publicKey: key.publicKey,
    blinded: signer.publicKey,
    period,
    revision,
  };
  const content = { points, features: key.features };
  const value = encodeDescriptor(crypto, random, name, content, clients);
  const records = Array.from(
    { length: DESCRIPTOR_REPLICAS },
    (_, replica) =>
      createStoredRecord(network, signer, {
        key: selfCertifyingKey(crypto, signer.publicKey, replica),
        sequence: revision,
        expiry,
        value,
      }),
  );
  return await storeRecords(circuit, records, onFirst, limit);
}

/**
 * Store records by one circuit, all at once.
 *
 * @param onFirst The first place has one.
 * @returns How many copies are stored.
 */
export async function storeRecords(
  circuit: ServiceCircuit,
  records: readonly StoredRecord[],
  onFirst: () => void,
  limit: WaitLimit,
): Promise<number> {
  let copies = 0;
  const store = async ({ encoded }: StoredRecord): Promise<void> => {
    const added = await circuit.dhtPut(encoded, limit);
    if (copies === 0 && added > 0) onFirst();
    copies += added;
  };
  // One place that cannot be reached must not hide that others were.
  await Promise.allSettled(records.map(store));
  return copies;
}

/** Which descriptor is wanted. */
export interface Wanted {
  readonly service: PublicKey;
  readonly period: TimePeriod;
  /** The key it is under: the service's as blinded for the period, or a host's. */
  readonly blinded: PublicKey;
  /** Older ones are refused. */
  readonly leastRevision: number;
  /** The key that we keep for this service, if there is one. */
  readonly clientSecret: Bytes | undefined;
}

/** What is under the key of a service, checked and decrypted. */
export interface KnownService {
  readonly name: DescriptorName;
  readonly record: ServiceRecord;
}

/**
 * Read one replica of what is under the key of a service, and check all of it.
 *
 * @param leastIssue What an earlier delegation said is refused.
 * @returns `undefined` when no storing node has it.
 * @throws {ProtocolError} `service.descriptor_*`, `dht.record_*` or `wire.*` when
 * what was found is not the one wanted.
 * @throws {UnreachableError} `circuit.*`.
 */
export async function readService(
  context: ServiceContext,
  circuit: ServiceCircuit,
  wanted: Wanted & { readonly leastIssue: number },
  replica: number,
  limit: WaitLimit,
): Promise<KnownService | undefined> {
  const found = await readRecord(context, circuit, wanted, replica, limit);
  if (found === undefined) return undefined;
  const { name, value } = found;
  const { clientSecret, leastIssue } = wanted;
  const record = decodeServiceRecord(
    context.crypto,
    name,
    value,
    clientSecret,
  );
  if (record.issue < leastIssue) throw fail("revoked");
  return { name, record };
}

/**
 * Read one replica of a descriptor, in whose place no roster may be, and check all of
 * it: a host names no hosts.
 *
 * @returns and throws as {@linkcode readService}.
 */
export async function readDescriptor(
  context: ServiceContext,
  circuit: ServiceCircuit,
  wanted: Wanted,
  replica: number,
  limit: WaitLimit,
): Promise<KnownDescriptor | undefined> {
  const found = await readRecord(context, circuit, wanted, replica, limit);
  if (found === undefined) return undefined;
  const { name, value } = found;
  const { clientSecret } = wanted;
  const content = decodeDescriptor(context.crypto, name, value, clientSecret);
  return { name, content };
}

async function readRecord(
  { clock, crypto, network }: ServiceContext,
  circuit: ServiceCircuit,
  { service, period, blinded, leastRevision }: Wanted,
  replica: number,
  limit: WaitLimit,
): Promise<{ name: DescriptorName; value: Bytes } | undefined> {
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
  return { name, value: record.value };
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
