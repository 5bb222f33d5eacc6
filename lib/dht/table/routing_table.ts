/**
 * Whom a node knows, densest around itself (Kademlia §2.4, §4.1):
 *
 *     bucket 0   shares 0 leading bits with us   half of all nodes, we keep 20
 *     bucket 1   shares 1                        a quarter, we keep 20
 *     …                                          until a bucket holds all there are
 *
 *     oldest ─── contacts, at most k ─── newest      ─── replacements, at most 10
 *
 * A bucket that is full stays as it is while its oldest contact answers: who has
 * been up for long stays up, and a flood of newcomers displaces no contact. Only
 * relays enter, and only when they answered at an address that they list.
 *
 * @see protocol §4.2 "The routing table"
 * @module
 */
import type { NodeId } from "../../auth/identity.ts";
import type { NetworkParameters } from "../../auth/network.ts";
import type { NodeRecord } from "../../auth/node_record.ts";
import type { Place } from "../../auth/proof_of_work.ts";
import type { SocketAddress } from "../../auth/socket_address.ts";
import { equalBytes } from "../../base/bytes.ts";
import { type Random, randomBetween } from "../../base/random.ts";
import { Bucket } from "./bucket.ts";
import { type Contact, isRelay, listedAddress } from "./contact.ts";
import { ContactGroups } from "./contact_groups.ts";
import {
  compareDistance,
  type DhtKey,
  pointKey,
  randomPointIn,
  sharedPrefixBits,
} from "../records/distance.ts";
import { Newcomers } from "./newcomers.ts";
import { nodeKey } from "./node_key.ts";

/**
 * Protocol: a node stores for a key while it knows fewer than this many times k
 * contacts that are closer. Above 1, as some of them may just have died.
 */
const STORE_RANGE = 1.5;
/** Tuning: unanswered requests in a row after which a contact leaves. */
export const MAX_FAILURES = 3;
/** Tuning: a contact that did not answer is tried again after this. */
export const RETRY_MS = 15 * 1000;
/** Tuning: a contact that was not heard of for so long is pinged. */
export const STALE_MS = 20 * 60 * 1000;
/** Tuning: a contact heard of this recently needs no ping to keep its place. */
const FRESH_MS = 15 * 60 * 1000;
/** Tuning: a bucket without a look-up for so long is refreshed (Kademlia §2.3). */
export const REFRESH_MS = 3600 * 1000;
/** Tuning: how often the table looks after its contacts. */
export const TABLE_TICK_MS = 30 * 1000;

/** What a table asks its driver to do. */
export interface TableAction {
  /** Ping this node: call `onAlive` or `onFailure`. */
  readonly type: "ping";
  readonly record: NodeRecord;
}

/** What a table is made of. */
interface RoutingTableOptions {
  readonly network: NetworkParameters;
  readonly random: Random;
  /** Whose table it is, and where that is. */
  readonly selfId: NodeId;
  readonly selfPlace: Place;
}

/** Contacts by distance. */
export class RoutingTable {
  readonly #network: NetworkParameters;
  readonly #random: Random;
  readonly #selfId: NodeId;
  readonly #selfPlace: Place;
  /** As long as the deepest bucket ever used: a dozen of 256. */
  readonly #buckets: (Bucket | undefined)[] = [];
  readonly #groups: ContactGroups;
  /** Where each contact is, by its node key: who links or answers shows a key, not a place. */
  readonly #bucketOfNode = new Map<string, Bucket>();
  readonly #newcomers = new Newcomers();
  /** Contacts that did not answer, and when to try again; ascending. */
  readonly #retries: { readonly contact: Contact; readonly dueMs: number }[] =
    [];
  #size = 0;
  #tickMs = Infinity;
  /** What {@linkcode refreshMs} is, until something has changed. */
  #refreshMs: number | undefined;

  constructor(options: RoutingTableOptions) {
    this.#network = options.network;
    this.#random = options.random;
    this.#selfId = options.selfId;
    this.#selfPlace = options.selfPlace;
    this.#groups = new ContactGroups(options.network);
  }

  /** Contacts in the table. */
  get size(): number {
    return this.#size;
  }

  /** When to call {@linkcode onTime} next; `undefined` while the table is empty. */
  get deadlineMs(): number {
    return Math.min(this.#tickMs, this.#retries[0]?.dueMs ?? Infinity);
  }

  /** All contacts, the far buckets first. */
  *contacts(): Generator<Contact> {
    for (const bucket of this.#buckets) {
      if (bucket !== undefined) yield* bucket.contacts;
    }
  }

  /** The contact with this id. */
  get(id: NodeId): Contact | undefined {
    return this.#bucketOfNode.get(pointKey(id))?.contact(id);
  }

  /**
   * The contacts closest to a target, closest first. Those that did not answer
   * lately are left out: handing them on would spread the dead.
   */
  closest(target: Uint8Array, count: number): Contact[] {
    const found: Contact[] = [];
    const take = (contacts: readonly (Contact | undefined)[]) => {
      const alive = contacts.filter((contact) => contact?.failures === 0);
      found.push(
        ...(alive as Contact[]).sort((a, b) =>
          compareDistance(target, a.record.place, b.record.place)
        ),
      );
    };
    const near = sharedPrefixBits(this.#selfPlace, target);
    // The target's own bucket, then all deeper ones (they differ from the target
    // in the same bit as we do), then ever farther ones.
    take(this.#buckets[near]?.contacts ?? []);
    if (found.length < count) {
      take(
        this.#buckets.slice(near + 1).flatMap((bucket) =>
          bucket?.contacts ?? []
        ),
      );
    }
    for (
      let index = Math.min(near, this.#buckets.length) - 1;
      index >= 0 && found.length < count;
      index--
    ) take(this.#buckets[index]?.contacts ?? []);
    return found.slice(0, count);
  }

  /** The bucket of a node that is not known, if it would be pinged if it were considered. */
  vacancyFor(record: NodeRecord): number | undefined {
    // All relays of a list pass this way: nearly all of them end at a full bucket.
    const index = sharedPrefixBits(this.#selfPlace, record.place);
    const bucket = this.#buckets[index];
    if (bucket !== undefined) {
      if (bucket.contacts.length >= this.#network.k) return undefined;
      if (bucket.contact(record.nodeId) !== undefined) return undefined;
    }
    if (!this.#isEligible(record)) return undefined;
    const hasRoom = bucket === undefined ||
      record.addresses.some((address) =>
        this.#groups.hasRoom(this.#groups.of(address), bucket)
      );
    return hasRoom ? index : undefined;
  }

  /** Places in a bucket, less the newcomers that are being pinged for it; below 0 if those are more. */
  roomIn(bucket: number): number {
    const contacts = this.#buckets[bucket]?.contacts.length ?? 0;
    return this.#network.k - contacts - this.#newcomers.countIn(bucket);
  }

  /** Pings of newcomers that may begin now. */
  get freePings(): number {
    return this.#newcomers.free;
  }

  /** A newer record of a node, if it is known. */
  renew(record: NodeRecord): void {
    this.#renew(record);
  }

  /**
   * A node that may enter: drawn from the relay list, or one that linked to us.
   * Never one that an answer named: liars name each other, and would fill the
   * table. It enters with its answer to a ping; where its bucket is full, it waits
   * for the oldest contact to leave.
   */
  consider(record: NodeRecord, nowMs: number): TableAction[] {
    if (!this.#isEligible(record)) return [];
    if (this.#renew(record)) return [];
    const bucket = this.#makeBucket(record.place, nowMs);
    if (bucket.contacts.length < this.#network.k) {
      return this.#pingNewcomer(record, nowMs);
    }
    bucket.keepReplacement({
      record,
      address: record.addresses[0] as SocketAddress,
      group: "",
      seenMs: -Infinity,
      failures: 0,
    });
    const oldest = bucket.contacts[0] as Contact;
    const isFresh = nowMs - oldest.seenMs < FRESH_MS;
    if (isFresh || bucket.checked !== undefined) return [];
    bucket.checked = oldest;
    return [{ type: "ping", record: oldest.record }];
  }

  /**
   * A node answered a request of ours, over an authenticated link. A contact is
   * now the most recently seen of its bucket; one that was considered enters.
   *
   * @param address The other end of that link. Unless the record lists it, others
   * could not reach the node by its record, and it does not enter.
   */
  onAlive(record: NodeRecord, address: SocketAddress, nowMs: number): void {
    const wasPending = this.#newcomers.end(nodeKey(record));
    this.#renew(record);
    const known = this.#bucketOfNode.get(nodeKey(record));
    const contact = known?.contact(record.nodeId);
    if (known !== undefined && contact !== undefined) {
      known.markSeen(contact, nowMs);
      return;
    }
    const bucket = this.#bucketOf(record.place);
    if (bucket === undefined) return;
    const listed = listedAddress(record, address);
    if (!wasPending || listed === undefined) return;
    const newcomer: Contact = {
      record,
      address: listed,
      group: this.#groups.of(listed),
      seenMs: nowMs,
      failures: 0,
    };
    if (!this.#groups.hasRoom(newcomer.group, bucket)) return;
    if (bucket.contacts.length < this.#network.k) {
      this.#insert(bucket, newcomer, nowMs);
    } else bucket.keepReplacement(newcomer);
  }

  /** A node sent us a request: if it is a contact, it is alive. It does not enter by this. */
  onHeard(id: NodeId, nowMs: number): void {
    const bucket = this.#bucketOfNode.get(pointKey(id));
    const contact = bucket?.contact(id);
    if (bucket !== undefined && contact !== undefined) {
      bucket.markSeen(contact, nowMs);
    }
  }

  /** A node did not answer: a ping, or any other request. */
  onFailure(id: NodeId, nowMs: number): TableAction[] {
    const key = pointKey(id);
    this.#newcomers.end(key);
    const bucket = this.#bucketOfNode.get(key);
    const contact = bucket?.contact(id);
    if (bucket === undefined || contact === undefined) {
      this.#dropReplacement(id);
      return [];
    }
    contact.failures++;
    const hasSuccessor = bucket.checked === contact && bucket.hasReplacement;
    if (!hasSuccessor && contact.failures < MAX_FAILURES) {
      // At most one try per contact waits: its failures pass this way one by one.
      const waits = this.#retries.some((retry) => retry.contact === contact);
      if (!waits) this.#retries.push({ contact, dueMs: nowMs + RETRY_MS });
      return [];
    }
    this.#remove(bucket, contact);
    return this.#fillGap(bucket, nowMs);
  }

  /** Drop a contact or a replacement, such as one that broke the protocol. */
  remove(id: NodeId): void {
    this.#dropReplacement(id);
    const bucket = this.#bucketOfNode.get(pointKey(id));
    const contact = bucket?.contact(id);
    if (bucket !== undefined && contact !== undefined) {
      this.#remove(bucket, contact);
    }
  }

  /** Time has come: retries, and contacts that were silent for long. */
  onTime(nowMs: number): TableAction[] {
    const actions: TableAction[] = [];
    for (
      let retry = this.#retries[0];
      retry !== undefined && retry.dueMs <= nowMs;
      retry = this.#retries[0]
    ) {
      this.#retries.shift();
      const { contact } = retry;
      const isHere = this.get(contact.record.nodeId) === contact;
      if (isHere && contact.failures > 0) {
        actions.push({ type: "ping", record: contact.record });
      }
    }
    if (nowMs < this.#tickMs) return actions;
    this.#tickMs = this.#size === 0 ? Infinity : nowMs + TABLE_TICK_MS;
    this.#newcomers.sweep(nowMs);
    for (const bucket of this.#buckets) {
      const oldest = bucket?.contacts.find(({ failures }) => failures === 0);
      if (bucket === undefined || oldest === undefined) continue;
      if (bucket.checked !== undefined) continue;
      if (nowMs - oldest.seenMs < STALE_MS) continue;
      bucket.checked = oldest;
      actions.push({ type: "ping", record: oldest.record });
    }
    return actions;
  }

  /** A look-up for `target` begins: its bucket needs no refresh for a while. */
  onLookup(target: Uint8Array, nowMs: number): void {
    const bucket = this.#bucketOf(target);
    if (bucket === undefined) return;
    bucket.lookedUpMs = nowMs;
    this.#refreshMs = undefined;
  }

  /** Whether our own node is near enough to a key to store for it. */
  isAmongClosest(key: DhtKey): boolean {
    const range = Math.ceil(STORE_RANGE * this.#network.k);
    const last = this.closest(key, range)[range - 1];
    return last === undefined ||
      compareDistance(key, this.#selfPlace, last.record.place) < 0;
  }

  /** When the next bucket is due for a refresh; `Infinity` without buckets. */
  get refreshMs(): number {
    return this.#refreshMs ??= this.#firstRefreshMs();
  }

  #firstRefreshMs(): number {
    let due = Infinity;
    for (const bucket of this.#buckets) {
      if (bucket === undefined || bucket.contacts.length === 0) continue;
      due = Math.min(due, bucket.lookedUpMs + REFRESH_MS);
    }
    return due;
  }

  /** A random point in a bucket that is due for a refresh, the most overdue first. */
  refreshTarget(nowMs: number): Place | undefined {
    if (this.refreshMs > nowMs) return undefined;
    let index = -1;
    let oldestMs = nowMs - REFRESH_MS;
    for (const [at, bucket] of this.#buckets.entries()) {
      if (bucket === undefined || bucket.contacts.length === 0) continue;
      if (bucket.lookedUpMs > oldestMs) continue;
      [index, oldestMs] = [at, bucket.lookedUpMs];
    }
    return index < 0
      ? undefined
      : randomPointIn(this.#random, this.#selfPlace, index);
  }

  #isEligible(record: NodeRecord): boolean {
    return isRelay(record) && !equalBytes(record.nodeId, this.#selfId);
  }

  #bucketOf(point: Uint8Array): Bucket | undefined {
    return this.#buckets[sharedPrefixBits(this.#selfPlace, point)];
  }

  #makeBucket(place: Place, nowMs: number): Bucket {
    const index = sharedPrefixBits(this.#selfPlace, place);
    const known = this.#buckets[index];
    if (known !== undefined) return known;
    while (this.#buckets.length <= index) this.#buckets.push(undefined);
    // Spread, or all buckets of all nodes that started together refresh together.
    const sinceMs = Math.floor(
      randomBetween(this.#random, 0, REFRESH_MS / 4),
    );
    const bucket = new Bucket(nowMs - sinceMs);
    this.#buckets[index] = bucket;
    return bucket;
  }

  /**
   * Whether the node is known where its record puts it; then with the newer of its
   * records. One that has moved, by another work, leaves: it comes in anew or not at all.
   */
  #renew(record: NodeRecord): boolean {
    const bucket = this.#bucketOfNode.get(nodeKey(record)) ??
      this.#bucketOf(record.place);
    const outcome = bucket?.renew(record) ?? "unknown";
    if (outcome === "moved") this.remove(record.nodeId);
    return outcome === "known";
  }

  #dropReplacement(id: NodeId): void {
    for (const bucket of this.#buckets) bucket?.dropReplacement(id);
  }

  #insert(bucket: Bucket, contact: Contact, nowMs: number): void {
    bucket.insert(contact);
    this.#bucketOfNode.set(nodeKey(contact.record), bucket);
    this.#size++;
    this.#refreshMs = undefined;
    this.#groups.add(contact.group);
    if (this.#tickMs === Infinity) this.#tickMs = nowMs + TABLE_TICK_MS;
  }

  #remove(bucket: Bucket, contact: Contact): void {
    bucket.remove(contact);
    this.#bucketOfNode.delete(nodeKey(contact.record));
    this.#size--;
    this.#refreshMs = undefined;
    this.#groups.remove(contact.group);
  }

  /** A contact has gone: the best replacement comes in, after a ping unless it answered lately. */
  #fillGap(bucket: Bucket, nowMs: number): TableAction[] {
    for (
      let next = bucket.takeReplacement();
      next !== undefined;
      next = bucket.takeReplacement()
    ) {
      if (nowMs - next.seenMs > STALE_MS) {
        return this.#pingNewcomer(next.record, nowMs);
      }
      if (!this.#groups.hasRoom(next.group, bucket)) continue;
      this.#insert(bucket, next, nowMs);
      return [];
    }
    return [];
  }

  #pingNewcomer(record: NodeRecord, nowMs: number): TableAction[] {
    const bucket = sharedPrefixBits(this.#selfPlace, record.place);
    const isBegun = this.#newcomers.begin(nodeKey(record), bucket, nowMs);
    return isBegun ? [{ type: "ping", record }] : [];
  }
}
