/**
 * One bucket of the routing table.
 *
 *     oldest ─── contacts, at most k ─── newest      ─── replacements, at most 10
 *
 * @see protocol §4.2 "The routing table"
 * @module
 */
import type { NodeRecord } from "../../auth/node_record.ts";
import { equalBytes } from "../../base/bytes.ts";
import { POINT_BYTES } from "../records/distance.ts";
import { type Contact, listedAddress } from "./contact.ts";

/** Tuning: candidates kept for the day that a full bucket has a gap. */
export const MAX_REPLACEMENTS = 10;

/** Contacts that share as many leading bits with us, and who may take their places. */
export class Bucket {
  /** Least recently seen first. */
  readonly #contacts: Contact[] = [];
  /** The best at the end: those that answered, then the others, each newest last. */
  readonly #replacements: Contact[] = [];
  /** The oldest contact, while a newcomer waits for its answer. */
  checked: Contact | undefined;
  /** When a look-up last went here. */
  lookedUpMs: number;

  constructor(lookedUpMs: number) {
    this.lookedUpMs = lookedUpMs;
  }

  /** Least recently seen first. */
  get contacts(): readonly Contact[] {
    return this.#contacts;
  }

  /** Whether a replacement waits. */
  get hasReplacement(): boolean {
    return this.#replacements.length > 0;
  }

  /** The contact with this node id. */
  contact(id: Uint8Array): Contact | undefined {
    return find(this.#contacts, id);
  }

  /** A newcomer enters, as the most recently seen. */
  insert(contact: Contact): void {
    this.dropReplacement(contact.record.nodeId);
    this.#contacts.push(contact);
  }

  /** A contact leaves. */
  remove(contact: Contact): void {
    removeFrom(this.#contacts, contact);
    if (this.checked === contact) this.checked = undefined;
  }

  /** A contact has answered, or asked us: it is the most recently seen. */
  markSeen(contact: Contact, nowMs: number): void {
    contact.seenMs = nowMs;
    contact.failures = 0;
    removeFrom(this.#contacts, contact);
    this.#contacts.push(contact);
    if (this.checked === contact) this.checked = undefined;
  }

  /**
   * A newer record of a contact or a replacement.
   *
   * @returns What it was taken for: `moved` and not taken when it is for another place.
   */
  renew(record: NodeRecord): "unknown" | "known" | "moved" {
    const known = this.contact(record.nodeId) ??
      find(this.#replacements, record.nodeId);
    if (known === undefined) return "unknown";
    if (record.sequence <= known.record.sequence) return "known";
    if (!equalBytes(record.place, known.record.place)) return "moved";
    known.record = record;
    known.address = listedAddress(record, known.address) ?? known.address;
    return "known";
  }

  /** What answered stands behind what did not, and is never displaced by it. */
  keepReplacement(contact: Contact): void {
    const replacements = this.#replacements;
    this.dropReplacement(contact.record.nodeId);
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

  /** The best replacement, which waits no longer. */
  takeReplacement(): Contact | undefined {
    return this.#replacements.pop();
  }

  /** A replacement waits no longer, if it did. */
  dropReplacement(id: Uint8Array): void {
    removeFrom(this.#replacements, find(this.#replacements, id));
  }
}

function find(
  contacts: readonly Contact[],
  id: Uint8Array,
): Contact | undefined {
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
