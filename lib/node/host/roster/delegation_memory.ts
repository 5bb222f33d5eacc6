/**
 * What is remembered where the key of a service is: to whom it was delegated.
 *
 *     delegation-<name>.blob    { hosts: [{ born, slot }], issue, untilMs }
 *
 * The seeds of hosts follow from the service's key and from this, so no secret is here.
 *
 * @see protocol §7.8 "Several hosts", §9.1 "State directory"
 * @module
 */
import { ConfigError, ProtocolError } from "../../../base/errors.ts";
import {
  type DelegationPlan,
  MAX_DELEGATION_DAYS,
  type NamedHost,
} from "../../../service/delegation/delegation.ts";
import { dateOf } from "../../../service/delegation/host_file.ts";
import { MAX_ISSUE, nextIssue } from "../../../service/delegation/issue.ts";
import { MAX_HOSTS } from "../../../service/delegation/roster.ts";
import { PERIOD_MS, timePeriod } from "../../../service/time_period.ts";
import type { StateDirectory } from "../../../storage/state_directory.ts";
import { encodeCbor } from "../../../wire/cbor.ts";
import { decodeFields } from "../../../wire/fields.ts";

/** What an operator wants of a delegation. */
export interface DelegationWish {
  /** Hosts that the service shall have, 1 to 8; 0 takes it back from all. */
  readonly hosts: number;
  /** Whole days, 1 to 30. */
  readonly days: number;
  /** Hosts that get another key than they had, by slot. */
  readonly moved: readonly number[];
}

interface Stored {
  readonly issue: number;
  readonly hosts: readonly NamedHost[];
  /** When what was delegated last has lapsed, unix ms. */
  readonly untilMs: number;
}

const NONE: Stored = { issue: 0, hosts: [], untilMs: 0 };

/** The delegations of one service. */
export class DelegationMemory {
  readonly #state: StateDirectory;
  readonly #name: string;
  #stored: Stored;

  private constructor(state: StateDirectory, name: string, stored: Stored) {
    this.#state = state;
    this.#name = name;
    this.#stored = stored;
  }

  /** Read what there is. @throws {ConfigError} `storage.*`. */
  static async load(
    state: StateDirectory,
    name: string,
  ): Promise<DelegationMemory> {
    return new DelegationMemory(state, name, await readStored(state, name));
  }

  /** The last issue; 0 when the key was never delegated. */
  get issue(): number {
    return this.#stored.issue;
  }

  /**
   * Refuse to serve by the key itself what hosts serve: clients would go now to it and
   * now to them.
   *
   * @throws {ConfigError} `delegation.in_force`.
   */
  checkServes(unixMs: number): void {
    const { hosts, untilMs } = this.#stored;
    if (hosts.length === 0 || unixMs >= untilMs) return;
    throw new ConfigError(
      "delegation.in_force",
      `Cannot start service "${this.#name}" by its key: that is delegated to ` +
        `${hosts.length} hosts until ${
          dateOf(untilMs)
        }; give this one a file too ` +
        `(--delegated), or run "anonnet delegate ${this.#name} --hosts 0" first`,
    );
  }

  /**
   * Make the next issue, and remember it before any host hears of it.
   *
   * @throws {ConfigError} `delegation.hosts`, `delegation.days`, `delegation.move`,
   * `storage.*`.
   */
  async plan(wish: DelegationWish, unixMs: number): Promise<DelegationPlan> {
    checkWish(wish);
    const { hosts: before } = this.#stored;
    const issue = nextIssue(this.#stored.issue, unixMs);
    const hosts = Array.from({ length: wish.hosts }, (_, index) => {
      const slot = index + 1;
      const known = before.find((host) => host.slot === slot);
      const isMoved = wish.moved.includes(slot);
      return known === undefined || isMoved ? { slot, born: issue } : known;
    });
    const untilMs = (timePeriod(unixMs) + wish.days + 1) * PERIOD_MS;
    this.#stored = { issue, hosts, untilMs };
    await this.#state.blobs.write(
      blobOf(this.#name),
      encodeCbor({
        hosts: hosts.map(({ slot, born }) => ({ slot, born })),
        issue,
        untilMs,
      }),
    );
    return { issue, hosts, days: wish.days, unixMs };
  }
}

function checkWish({ hosts, days, moved }: DelegationWish): void {
  const fail = (code: string, why: string) =>
    new ConfigError(`delegation.${code}`, `Cannot delegate: ${why}`);
  if (!Number.isInteger(hosts) || hosts < 0 || hosts > MAX_HOSTS) {
    throw fail("hosts", `a service has at most ${MAX_HOSTS} hosts`);
  }
  if (!Number.isInteger(days) || days < 1 || days > MAX_DELEGATION_DAYS) {
    throw fail("days", `1 to ${MAX_DELEGATION_DAYS} days`);
  }
  const stranger = moved.find((slot) => slot < 1 || slot > hosts);
  if (stranger !== undefined) {
    throw fail("move", `there is no host ${stranger} to move`);
  }
}

function blobOf(name: string): string {
  return `delegation-${name}`;
}

async function readStored(
  { blobs }: StateDirectory,
  name: string,
): Promise<Stored> {
  const blob = blobOf(name);
  const stored = await blobs.read(blob);
  if (stored === undefined) return NONE;
  try {
    const fields = decodeFields(stored, "delegation blob");
    const issue = fields.uint("issue", MAX_ISSUE);
    const untilMs = fields.uint("untilMs");
    const hosts = fields.mapArray("hosts", MAX_HOSTS).map((host) => {
      const read = {
        slot: host.uint("slot", MAX_HOSTS),
        born: host.uint("born", MAX_ISSUE),
      };
      host.finish();
      return read;
    });
    fields.finish();
    return { issue, hosts, untilMs };
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    await blobs.setAside(blob);
    return NONE;
  }
}
