/**
 * One path of a look-up: whom it has heard of, whom it asks next, and when it has
 * come as close to the target as it can.
 *
 *     offered ─▶ candidates, closest first ─ believed? ─▶ asked ─▶ answered
 *                                                             └─▶ stalled, late, failed
 *
 * Who names nodes that do not answer is believed no longer.
 *
 * @see protocol §4.6 "Look-ups"
 * @module
 */
import type { NetworkParameters } from "../../auth/network.ts";
import type { NodeRecord } from "../../auth/node_record.ts";
import type { Place } from "../../auth/proof_of_work.ts";
import { compareDistance, type DhtKey } from "../records/distance.ts";

/** Protocol: rounds (of α answers) without a closer node, after which a path ends. */
const MAX_IDLE_ROUNDS = 3;
/**
 * Tuning: nodes asked on one path, and as many once the paths are merged. An honest
 * one needs 7 to 12; "endless closer nodes" end here.
 */
export const MAX_ASKED_PER_PATH = 24;
/** Tuning: own contacts that a path asks before it ends, however close it believes to be. */
const MIN_SEEDS = 3;
/**
 * Tuning: silent nodes after which who named them is believed no longer, beside
 * those that it named and that answered. Where a third of a network has just died,
 * honest nodes name the dead as well.
 */
const MAX_SILENT_NAMED = 3;

/** A node that a path has heard of, and has not asked. */
export interface Candidate {
  readonly key: string;
  readonly record: NodeRecord;
  /** Who named it before it was asked; none for a contact of our own. */
  readonly namedBy: Asked[];
  /** Who named it before it answered. */
  readonly vouchers: Asked[];
}

/** Where a question is. */
type AskedState =
  | "waiting"
  /** Others are asked in its place. */
  | "stalled"
  /** And nothing waits for it. */
  | "late"
  | "answered"
  | "failed";

/** A node that has been asked. */
export interface Asked {
  readonly record: NodeRecord;
  readonly namedBy: readonly Asked[];
  readonly vouchers: Asked[];
  readonly path: LookupPath;
  readonly sentMs: number;
  /** Steps from a contact of our own. */
  readonly hops: number;
  state: AskedState;
  /** Of the nodes it named: how many did not answer, and how many did. */
  silentNamed: number;
  liveNamed: number;
  /** It answered a request for a value, and had none. */
  lacksValue: boolean;
}

/** What a path is made of. */
interface LookupPathOptions {
  readonly network: NetworkParameters;
  readonly target: Place | DhtKey;
  /** Nodes asked on all paths of the look-up, by their keys; the path adds its own. */
  readonly all: Map<string, Asked>;
  /** How many of the closest have to answer. */
  readonly width: number;
  /** Ask one node alone before the others: it may have what is looked for. */
  readonly asksOneFirst?: boolean;
}

/** One path. */
export class LookupPath {
  readonly #options: LookupPathOptions;
  /** Nodes that this path has asked, or that those asked which it goes on from. */
  readonly #asked: Asked[];
  /** Not asked yet, closest first, at most 2k. */
  readonly #candidates: Candidate[] = [];
  readonly #maxIdle: number;
  /** Contacts of our own that the path still has to ask. */
  #seedsLeft: number;
  /** Nodes that it may still ask. */
  #askedLeft = MAX_ASKED_PER_PATH;
  /** The closest node it has heard of. */
  #best: Place | undefined;
  /** Answers in a row without a closer one. */
  #idle = 0;
  #isOver = false;

  /** @param merged Paths that this one goes on from; without, it begins with our own contacts. */
  constructor(options: LookupPathOptions, merged?: readonly LookupPath[]) {
    this.#options = options;
    const { network, all } = options;
    this.#asked = merged === undefined ? [] : [...all.values()];
    this.#seedsLeft = merged === undefined ? MIN_SEEDS : 0;
    this.#maxIdle = merged === undefined
      ? MAX_IDLE_ROUNDS * network.alpha
      : Infinity;
    const seen = new Set<string>();
    for (const candidate of merged?.flatMap((path) => path.#candidates) ?? []) {
      if (seen.has(candidate.key)) continue;
      seen.add(candidate.key);
      this.offer(candidate);
    }
  }

  /** Whether it asks no more, and waits for no answer. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** End it: it has found what was looked for. */
  end(): void {
    this.#isOver = true;
  }

  /** The candidate with this key. */
  candidate(key: string): Candidate | undefined {
    return this.#candidates.find((candidate) => candidate.key === key);
  }

  /** A node that may be asked. @returns Whether it is closer than any before. */
  offer(candidate: Candidate): boolean {
    const { target, network } = this.#options;
    const { place } = candidate.record;
    const candidates = this.#candidates;
    const at = candidates.findIndex((other) =>
      compareDistance(target, place, other.record.place) < 0
    );
    candidates.splice(at < 0 ? candidates.length : at, 0, candidate);
    const limit = 2 * network.k;
    if (candidates.length > limit) candidates.length = limit;
    const isCloser = this.#best === undefined ||
      compareDistance(target, place, this.#best) < 0;
    if (isCloser) this.#best = place;
    return isCloser;
  }

  /** A node has answered, and named one that is closer than any before, or none. */
  onNamed({ isCloser }: { readonly isCloser: boolean }): void {
    this.#idle = isCloser ? 0 : this.#idle + 1;
  }

  /** A node is silent: who named it is believed less, and a contact of ours is replaced. */
  doubt({ namedBy }: Asked): void {
    for (const namer of namedBy) namer.silentNamed++;
    if (namedBy.length === 0) this.#seedsLeft++;
  }

  /** How many of its questions are in this state. */
  count(wanted: AskedState): number {
    let found = 0;
    for (const { state } of this.#asked) if (state === wanted) found++;
    return found;
  }

  /** How many questions may be under way. */
  get #atOnce(): number {
    const { network, asksOneFirst } = this.#options;
    const isFirst = this.#asked.every(({ state }) => state === "waiting");
    return asksOneFirst && isFirst ? 1 : network.alpha;
  }

  /** Ask what is to be asked now, or end. @returns Who is asked. */
  advance(nowMs: number): NodeRecord[] {
    const { width } = this.#options;
    const asked: NodeRecord[] = [];
    const atOnce = this.#atOnce;
    while (!this.#isOver && this.count("waiting") < atOnce) {
      const next = this.#next();
      if (next === undefined) {
        // A slow node is waited for only where there is no other.
        this.#isOver = this.count("waiting") === 0 &&
          (this.count("stalled") === 0 || this.count("answered") >= width);
        break;
      }
      this.#ask(next, nowMs);
      asked.push(next.record);
    }
    return asked;
  }

  /** The next node to ask, or `undefined` when the path has come as close as it can. */
  #next(): Candidate | undefined {
    const { target, width, all } = this.#options;
    const candidates = this.#candidates;
    if (this.#askedLeft <= 0) return undefined;
    for (let at = candidates.length - 1; at >= 0; at--) {
      const { key } = candidates[at] as Candidate;
      if (all.has(key)) candidates.splice(at, 1);
    }
    const closest = candidates.find(isBelieved);
    if (closest !== undefined && this.#idle < this.#maxIdle) {
      const { place } = closest.record;
      const closer = this.#asked.filter(({ state, record }) =>
        (state === "answered" || state === "waiting") &&
        compareDistance(target, record.place, place) < 0
      );
      if (closer.length < width) return closest;
    }
    // A captured path is content with its captors: our own contacts have a say too.
    return this.#seedsLeft > 0
      ? candidates.find(({ namedBy }) => namedBy.length === 0)
      : undefined;
  }

  #ask({ key, record, namedBy, vouchers }: Candidate, nowMs: number): void {
    if (namedBy.length === 0) this.#seedsLeft--;
    this.#askedLeft--;
    const asked: Asked = {
      record,
      namedBy,
      vouchers,
      path: this,
      sentMs: nowMs,
      hops: namedBy.length === 0
        ? 0
        : 1 + Math.min(...namedBy.map(({ hops }) => hops)),
      state: "waiting",
      silentNamed: 0,
      liveNamed: 0,
      lacksValue: false,
    };
    this.#asked.push(asked);
    this.#options.all.set(key, asked);
  }
}

/** Whether a question has its answer, or will have none. */
export function isSettled({ state }: Asked): boolean {
  return state === "answered" || state === "failed";
}

/** A node names another. @returns Whether it had not named it before. */
export function vouch(
  { vouchers }: Candidate | Asked,
  namer: Asked,
): boolean {
  if (vouchers.includes(namer)) return false;
  vouchers.push(namer);
  return true;
}

function isBelieved({ namedBy }: Candidate): boolean {
  return namedBy.length === 0 ||
    namedBy.some(({ silentNamed, liveNamed }) =>
      silentNamed < MAX_SILENT_NAMED + liveNamed
    );
}
