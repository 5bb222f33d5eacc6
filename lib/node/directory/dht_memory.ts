/**
 * What a node remembers of the DHT from one run to the next:
 *
 *     dht-contacts.blob              {contacts: [text, …]}   anon:// addresses to join by
 *     dht-relays.blob                {records: [bytes, …]}   node records of the relay list
 *     dht-records-0 … -15.blob       {records: [bytes, …]}   stored records
 *
 * Nothing in these files is believed: records are verified as if a peer had sent
 * them, and who is dialled has to prove its key. A blob that did not change is
 * not written again.
 *
 * @see protocol §9.1 "State directory"
 * @module
 */
import {
  formatNodeAddress,
  type NodeAddress,
  parseNodeAddress,
} from "../../auth/node_address.ts";
import { type Bytes, equalBytes } from "../../base/bytes.ts";
import { ConfigError, ProtocolError } from "../../base/errors.ts";
import type { CryptoSuite } from "../../crypto/suite.ts";
import { MAX_BLOB_BYTES } from "../../storage/blob_format.ts";
import type { BlobStore } from "../../storage/blob_store.ts";
import { type CborValue, encodeCbor } from "../../wire/cbor.ts";
import { decodeFields, type Fields } from "../../wire/fields.ts";

const CONTACTS_BLOB = "dht-contacts";
const RELAYS_BLOB = "dht-relays";

/** Contacts remembered: enough that some are still there after a week. */
export const MAX_KEPT_CONTACTS = 64;
const MAX_ADDRESS_BYTES = 128;

/**
 * Blobs that stored records are spread over: a full store is 64 MiB, and one new
 * record should not have all of it written again.
 */
const RECORD_BLOBS = 16;
/** A byte of an encoded record, counted from its end: of its signature, so as good as random. */
const SPREAD_OFFSET = 20;

/** Most records read from one blob: 10,000 keys of 20 publishers each. */
const MAX_RECORDS = 200_000;
/** Left free in a blob for what stands around the records. */
const FRAME_BYTES = 1024;
/** What CBOR puts before one record, at most. */
const HEAD_BYTES = 5;

/** The DHT's part of a state directory. */
export class DhtMemory {
  readonly #crypto: CryptoSuite;
  readonly #blobs: BlobStore;
  /** Digests of what is on the disk, by name. */
  readonly #written = new Map<string, Bytes>();

  constructor(crypto: CryptoSuite, blobs: BlobStore) {
    this.#crypto = crypto;
    this.#blobs = blobs;
  }

  /**
   * Where nodes of the last run were.
   *
   * @throws {ConfigError} `storage.*` when the disk fails.
   */
  async contacts(): Promise<readonly NodeAddress[]> {
    return await this.#read(
      CONTACTS_BLOB,
      (fields) =>
        fields.textArray("contacts", MAX_KEPT_CONTACTS, MAX_ADDRESS_BYTES)
          .map(parseNodeAddress),
    ) ?? [];
  }

  /** Node records of the last run's relay list. Throws as {@linkcode contacts}. */
  relays(): Promise<readonly Bytes[]> {
    return this.#readRecords(RELAYS_BLOB);
  }

  /** Stored records of the last run, part by part. Throws as {@linkcode contacts}. */
  async *records(): AsyncGenerator<readonly Bytes[]> {
    for (let part = 0; part < RECORD_BLOBS; part++) {
      yield await this.#readRecords(recordBlob(part));
    }
  }

  /** Remember contacts, the first {@linkcode MAX_KEPT_CONTACTS}. Throws as {@linkcode contacts}. */
  async writeContacts(contacts: readonly NodeAddress[]): Promise<void> {
    const kept = contacts.slice(0, MAX_KEPT_CONTACTS).map(formatNodeAddress);
    await this.#write(CONTACTS_BLOB, { contacts: kept });
  }

  /** Remember the relay list. Throws as {@linkcode contacts}. */
  async writeRelays(relays: readonly Bytes[]): Promise<void> {
    await this.#write(RELAYS_BLOB, { records: thatFit(relays) });
  }

  /** Remember stored records. Throws as {@linkcode contacts}: then some are not remembered. */
  async writeRecords(records: readonly Bytes[]): Promise<void> {
    const parts = Array.from({ length: RECORD_BLOBS }, (): Bytes[] => []);
    for (const record of records) {
      const byte = record[record.length - SPREAD_OFFSET] ?? 0;
      parts[byte % RECORD_BLOBS]?.push(record);
    }
    for (const [part, records] of parts.entries()) {
      const name = recordBlob(part);
      if (records.length === 0 && !this.#written.has(name)) continue;
      await this.#write(name, { records: thatFit(records) });
    }
  }

  async #readRecords(name: string): Promise<readonly Bytes[]> {
    const limit = { max: MAX_BLOB_BYTES };
    return await this.#read(
      name,
      (fields) => fields.bytesArray("records", MAX_RECORDS, limit),
    ) ?? [];
  }

  /** A blob that is whole but makes no sense is set aside as a torn one is. */
  async #read<T>(
    name: string,
    take: (fields: Fields) => T,
  ): Promise<T | undefined> {
    const body = await this.#blobs.read(name);
    if (body === undefined) return undefined;
    try {
      const limits = { maxDepth: 2, maxItems: MAX_RECORDS + 4 };
      const fields = decodeFields(body, name, limits);
      const value = take(fields);
      fields.finish();
      this.#written.set(name, this.#crypto.sha256(body));
      return value;
    } catch (error) {
      const isNonsense = error instanceof ProtocolError ||
        error instanceof ConfigError;
      if (!isNonsense) throw error;
      await this.#blobs.setAside(name);
      return undefined;
    }
  }

  async #write(name: string, content: CborValue): Promise<void> {
    const body = encodeCbor(content);
    const digest = this.#crypto.sha256(body);
    const known = this.#written.get(name);
    if (known !== undefined && equalBytes(known, digest)) return;
    await this.#blobs.write(name, body);
    this.#written.set(name, digest);
  }
}

function recordBlob(part: number): string {
  return `dht-records-${part}`;
}

/** The records from the start of a list that fit in one blob. */
function thatFit(records: readonly Bytes[]): readonly Bytes[] {
  let bytes = FRAME_BYTES;
  const end = records.findIndex((record) => {
    bytes += HEAD_BYTES + record.length;
    return bytes > MAX_BLOB_BYTES;
  });
  return end < 0 ? records : records.slice(0, end);
}
