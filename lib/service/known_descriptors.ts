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
import type { DescriptorContent } from "./descriptor.ts";
import type { DescriptorName } from "./descriptor_box.ts";
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

interface Kept<T> {
  readonly descriptor: T;
  readonly untilMs: number;
}

/** The descriptors and revisions that one client knows. */
export class KnownDescriptors<
  T extends Pick<KnownDescriptor, "name"> = KnownDescriptor,
> {
  readonly #descriptors = new RecentMap<string, Kept<T>>(MAX_DESCRIPTORS);
  readonly #revisions = new RecentMap<string, number>(MAX_REVISIONS);

  /**
   * The descriptor of a service for a period, if one is known and fresh.
   *
   * @param of The service, or the host that it is of.
   */
  get(
    of: PublicKey,
    period: TimePeriod,
    isolation: string,
    nowMs: number,
  ): T | undefined {
    const kept = this.#descriptors.get(keyOf(of, isolation));
    const isFresh = kept?.descriptor.name.period === period &&
      nowMs < kept.untilMs;
    return isFresh ? kept.descriptor : undefined;
  }

  /** The lowest revision that is still believed. */
  leastRevision(blinded: PublicKey): number {
    return this.#revisions.get(blinded.toHex()) ?? 0;
  }

  /** A descriptor was found and is right. @param of As for {@linkcode get}. */
  add(
    descriptor: T,
    isolation: string,
    nowMs: number,
    of: PublicKey = descriptor.name.publicKey,
  ): void {
    const { name } = descriptor;
    const blinded = name.blinded.toHex();
    const highest = this.#revisions.get(blinded) ?? 0;
    this.#revisions.set(blinded, Math.max(highest, name.revision));
    const untilMs = nowMs + DESCRIPTOR_MS;
    this.#descriptors.set(keyOf(of, isolation), { descriptor, untilMs });
  }

  /** A descriptor led nowhere: ask again next time. */
  forget(of: PublicKey, isolation: string): void {
    this.#descriptors.delete(keyOf(of, isolation));
  }
}

function keyOf(of: PublicKey, isolation: string): string {
  return `${of.toHex()} ${isolation}`;
}
