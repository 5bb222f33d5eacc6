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
import { addressGroup, DHT_PREFIX } from "../../auth/subnet.ts";
import { equalBytes } from "../../base/bytes.ts";
import { type Random, randomBetween } from "../../base/random.ts";
import { type Contact, isRelay, listedAddress } from "./contact.ts";
import {
  compareDistance,
  type DhtKey,
  POINT_BYTES,
  pointKey,
  randomPointIn,
  sharedPrefixBits,
} from "../records/distance.ts";
import { nodeKey } from "./node_key.ts";

/** Protocol: contacts of one subnet in a bucket, where subnets count. */
export const MAX_PER_GROUP_AND_BUCKET = 2;
/** Protocol: contacts of one subnet in the table, where subnets count. */
export const MAX_PER_GROUP = 10;
/**
 * Protocol: a node stores for a key while it knows fewer than this many times k
 * contacts that are closer. Above 1, as some of them may just have died.
 */
const STORE_RANGE = 1.5;
/** Tuning: candidates kept for the day that a full bucket has a gap. */
export const MAX_REPLACEMENTS = 10;
/**
 * Tuning: newcomers being pinged at once. A peer that hands us records of nodes
 * that do not exist makes us dial no more than this.
 */
export const MAX_PENDING_PINGS = 32;
/** Tuning: a newcomer that has not answered by then is forgotten. */
export const PENDING_PING_MS = 30 * 1000;
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

interface Bucket {
  /** Least recently seen first. */
  readonly contacts: Contact[];
  /** The best at the end: those that answered, then the others, each newest last. */
  readonly replacements: Contact[];
  /** The oldest contact, while a newcomer waits for its answer. */
  checked: Contact | undefined;
  /** When a look-up last went here. */
  lookedUpMs: number;
}

/** Contacts by distance. */
export class RoutingTable {
  readonly #network: NetworkParameters;
  readonly #random: Random;
  readonly #selfId: NodeId;
  readonly #selfPlace: Place;
  /** As long as the deepest bucket ever used: a dozen of 256. */
  readonly #buckets: (Bucket | undefined)[] = [];
  /** Contacts per subnet; empty where subnets do not count. */
  readonly #groups = new Map<string, number>();
  /** Where each contact is, by its node key: who links or answers shows a key, not a place. */
  readonly #bucketOfNode = new Map<string, Bucket>();
  /** Newcomers being pinged, until when, and for which bucket. */
  readonly #pending = new Map<
    string,
    { readonly untilMs: number; readonly bucket: number }
  >();
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
    return find(this.#bucketOfNode.get(pointKey(id))?.contacts, id);
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
      if (find(bucket.contacts, record.nodeId) !== undefined) return undefined;
    }
    if (!this.#isEligible(record)) return undefined;
    const hasRoom = bucket === undefined ||
      record.addresses.some((address) =>
        this.#hasGroupRoom(bucket, this.#groupOf(address))
      );
    return hasRoom ? index : undefined;
  }

  /** Places in a bucket, less the newcomers that are being pinged for it; below 0 if those are more. */
  roomIn(bucket: number): number {
    let room = this.#network.k -
      (this.#buckets[bucket]?.contacts.length ?? 0);
    for (const pending of this.#pending.values()) {
      if (pending.bucket === bucket) room--;
    }
    return room;
  }

  /** Pings of newcomers that may begin now. */
  get freePings(): number {
    return MAX_PENDING_PINGS - this.#pending.size;
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
    this.#keepReplacement(bucket, {
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
    const wasPending = this.#pending.delete(nodeKey(record));
    this.#renew(record);
    const known = this.#bucketOfNode.get(nodeKey(record));
    const contact = find(known?.contacts, record.nodeId);
    if (known !== undefined && contact !== undefined) {
      this.#markSeen(known, contact, nowMs);
      return;
    }
    const bucket = this.#bucketOf(record.place);
    if (bucket === undefined) return;
    const listed = listedAddress(record, address);
    if (!wasPending || listed === undefined) return;
    const newcomer: Contact = {
      record,
      address: listed,
      group: this.#groupOf(listed),
      seenMs: nowMs,
      failures: 0,
    };
    if (!this.#hasGroupRoom(bucket, newcomer.group)) return;
    if (bucket.contacts.length < this.#network.k) {
      this.#insert(bucket, newcomer, nowMs);
    } else this.#keepReplacement(bucket, newcomer);
  }

  /** A node sent us a request: if it is a contact, it is alive. It does not enter by this. */
  onHeard(id: NodeId, nowMs: number): void {
    const bucket = this.#bucketOfNode.get(pointKey(id));
    const contact = find(bucket?.contacts, id);
    if (bucket !== undefined && contact !== undefined) {
      this.#markSeen(bucket, contact, nowMs);
    }
  }

  /** A node did not answer: a ping, or any other request. */
  onFailure(id: NodeId, nowMs: number): TableAction[] {
    const key = pointKey(id);
    this.#pending.delete(key);
    const bucket = this.#bucketOfNode.get(key);
    const contact = find(bucket?.contacts, id);
    if (bucket === undefined || contact === undefined) {
      this.#dropReplacement(id);
      return [];
    }
    contact.failures++;
    const hasSuccessor = bucket.checked === contact &&
      bucket.replacements.length > 0;
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
    const contact = find(bucket?.contacts, id);
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
    for (const [key, { untilMs }] of this.#pending) {
      if (untilMs <= nowMs) this.#pending.delete(key);
    }
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
    const bucket: Bucket = {
      contacts: [],
      replacements: [],
      checked: undefined,
      lookedUpMs: nowMs - sinceMs,
    };
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
    const known = find(bucket?.contacts, record.nodeId) ??
      find(bucket?.replacements, record.nodeId);
    if (bucket === undefined || known === undefined) return false;
    if (record.sequence <= known.record.sequence) return true;
    if (!equalBytes(record.place, known.record.place)) {
      this.remove(record.nodeId);
      return false;
    }
    known.record = record;
    known.address = listedAddress(record, known.address) ?? known.address;
    return true;
  }

  #dropReplacement(id: NodeId): void {
    for (const bucket of this.#buckets) {
      const known = find(bucket?.replacements, id);
      if (known !== undefined) removeFrom(bucket?.replacements ?? [], known);
    }
  }

  #markSeen(bucket: Bucket, contact: Contact, nowMs: number): void {
    contact.seenMs = nowMs;
    contact.failures = 0;
    removeFrom(bucket.contacts, contact);
    bucket.contacts.push(contact);
    if (bucket.checked === contact) bucket.checked = undefined;
  }

  #insert(bucket: Bucket, contact: Contact, nowMs: number): void {
    removeFrom(
      bucket.replacements,
      find(bucket.replacements, contact.record.nodeId),
    );
    bucket.contacts.push(contact);
    this.#bucketOfNode.set(nodeKey(contact.record), bucket);
    this.#size++;
    this.#refreshMs = undefined;
    if (contact.group !== "") {
      const { group } = contact;
      this.#groups.set(group, (this.#groups.get(group) ?? 0) + 1);
    }
    if (this.#tickMs === Infinity) this.#tickMs = nowMs + TABLE_TICK_MS;
  }

  #remove(bucket: Bucket, contact: Contact): void {
    removeFrom(bucket.contacts, contact);
    this.#bucketOfNode.delete(nodeKey(contact.record));
    if (bucket.checked === contact) bucket.checked = undefined;
    this.#size--;
    this.#refreshMs = undefined;
    const { group } = contact;
    const left = (this.#groups.get(group) ?? 0) - 1;
    if (left > 0) this.#groups.set(group, left);
    else this.#groups.delete(group);
  }

  /** A contact has gone: the best replacement comes in, after a ping unless it answered lately. */
  #fillGap(bucket: Bucket, nowMs: number): TableAction[] {
    for (
      let next = bucket.replacements.pop();
      next !== undefined;
      next = bucket.replacements.pop()
    ) {
      if (nowMs - next.seenMs > STALE_MS) {
        return this.#pingNewcomer(next.record, nowMs);
      }
      if (!this.#hasGroupRoom(bucket, next.group)) continue;
      this.#insert(bucket, next, nowMs);
      return [];
    }
    return [];
  }

  #pingNewcomer(record: NodeRecord, nowMs: number): TableAction[] {
    const key = nodeKey(record);
    if ((this.#pending.get(key)?.untilMs ?? -Infinity) > nowMs) return [];
    if (this.#pending.size >= MAX_PENDING_PINGS) return [];
    const bucket = sharedPrefixBits(this.#selfPlace, record.place);
    this.#pending.set(key, { untilMs: nowMs + PENDING_PING_MS, bucket });
    return [{ type: "ping", record }];
  }

  /** What answered stands behind what did not, and is never displaced by it. */
  #keepReplacement(bucket: Bucket, contact: Contact): void {
    const { replacements } = bucket;
    removeFrom(replacements, find(replacements, contact.record.nodeId));
    const hasAnswered = contact.seenMs > -Infinity;
    const firstAnswered = replacements.findIndex(({ seenMs }) =>
      seenMs > -Infinity
    );
    const at = hasAnswered || firstAnswered < 0
      ? replacements.length
      : firstAnswered;
    replacements.splice(at, 0, contact);
    if (replacements.length > MAX_REPLACEMENTS) replacements.shift();
  }

  #groupOf(address: SocketAddress): string {
    return this.#network.allowPrivateAddresses
      ? ""
      : addressGroup(address, DHT_PREFIX);
  }

  #hasGroupRoom(bucket: Bucket, group: string): boolean {
    if (group === "") return true;
    if ((this.#groups.get(group) ?? 0) >= MAX_PER_GROUP) return false;
    const here = bucket.contacts.filter((contact) => contact.group === group);
    return here.length < MAX_PER_GROUP_AND_BUCKET;
  }
}

function find(
  contacts: readonly Contact[] | undefined,
  id: Uint8Array,
): Contact | undefined {
  if (contacts === undefined) return undefined;
  const last = id[POINT_BYTES - 1];
  for (const contact of contacts) {
    // Nodes of a bucket begin alike: look at the end first.
    const { nodeId } = contact.record;
    if (nodeId[POINT_BYTES - 1] === last && equalBytes(nodeId, id)) {
      return contact;
    }
  }
  return undefined;
}

function removeFrom(contacts: Contact[], contact: Contact | undefined): void {
  const at = contact === undefined ? -1 : contacts.indexOf(contact);
  if (at >= 0) contacts.splice(at, 1);
}
