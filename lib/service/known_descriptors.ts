/**
 * What a client remembers of services: descriptors, for a while, and the highest
 * revision seen, so that no storing node can hand it an older one afterwards.
 *
 * Descriptors are kept apart by isolation key, lest a service learn from one it
 * made for a single reader that two keys are one person. Revisions are not: they
 * only ever lead to a refusal.
 *
 * @see protocol §7.3 "Descriptors"
 * @module
 */
import type { PublicKey } from "../auth/identity.ts";
import { RecentMap } from "../base/recent_map.ts";
import type { DescriptorContent, DescriptorName } from "./descriptor.ts";
import type { TimePeriod } from "./time_period.ts";

/** Descriptors kept, about 9 KiB each. */
export const MAX_DESCRIPTORS = 256;
/** Revisions kept, about 150 bytes each. */
export const MAX_REVISIONS = 8192;
/** How long a descriptor is used without asking again, ms. */
export const DESCRIPTOR_MS = 30 * 60_000;

/** A descriptor, checked and decrypted. */
export interface KnownDescriptor {
  readonly name: DescriptorName;
  readonly content: DescriptorContent;
}

interface Kept extends KnownDescriptor {
  readonly untilMs: number;
}

/** The descriptors and revisions that one client knows. */
export class KnownDescriptors {
  readonly #descriptors = new RecentMap<string, Kept>(MAX_DESCRIPTORS);
  readonly #revisions = new RecentMap<string, number>(MAX_REVISIONS);

  /** The descriptor of a service for a period, if one is known and fresh. */
  get(
    service: PublicKey,
    period: TimePeriod,
    isolation: string,
    nowMs: number,
  ): KnownDescriptor | undefined {
    const kept = this.#descriptors.get(keyOf(service, isolation));
    const isFresh = kept?.name.period === period && nowMs < kept.untilMs;
    return isFresh ? kept : undefined;
  }

  /** The lowest revision that is still believed. */
  leastRevision(blinded: PublicKey): number {
    return this.#revisions.get(blinded.toHex()) ?? 0;
  }

  /** A descriptor was found and is right. */
  add(descriptor: KnownDescriptor, isolation: string, nowMs: number): void {
    const { name, content } = descriptor;
    const blinded = name.blinded.toHex();
    const highest = this.#revisions.get(blinded) ?? 0;
    this.#revisions.set(blinded, Math.max(highest, name.revision));
    this.#descriptors.set(keyOf(name.publicKey, isolation), {
      name,
      content,
      untilMs: nowMs + DESCRIPTOR_MS,
    });
  }

  /** The descriptor of a service led nowhere: ask again next time. */
  forget(service: PublicKey, isolation: string): void {
    this.#descriptors.delete(keyOf(service, isolation));
  }
}

function keyOf(service: PublicKey, isolation: string): string {
  return `${service.toHex()} ${isolation}`;
}
