/**
 * How a client has itself passed on by an introduction point, whatever work that
 * takes.
 *
 *     introduce1 ──▶ point ──▶ passed on
 *         ▲            │
 *         └── work ◀───┘ "so much work, and for this circuit"
 *
 * A point may lie about the price. What is computed for one meeting is bounded,
 * and so is how often a point may raise it; then another one is asked.
 *
 * @see protocol §7.4 "Introduction"
 * @module
 */
import type { PublicKey } from "../../auth/identity.ts";
import type { Bytes } from "../../base/bytes.ts";
import { deadline, sleep } from "../../base/clock.ts";
import { UnreachableError } from "../../base/errors.ts";
import {
  decodeIntroduceAck,
  encodeIntroduce1,
  type IntroduceAnswer,
} from "../../service/meeting/introduction_messages.ts";
import {
  MAX_EFFORT,
  type Work,
  type WorkDemand,
  WorkSearch,
  type WorkSubject,
} from "../../service/meeting/introduction_work.ts";
import type { ServiceCircuit, WaitLimit } from "../circuit/circuits.ts";
import type { ServiceContext } from "../session/service_context.ts";

/** A point that has not acknowledged an introduction by then will not, ms. */
const ACK_MS = 6_000;
/** Times that a point may demand work of us. */
const MAX_DEMANDS = 4;
/** Hashes for all introductions of one approach, at most: some ten seconds of one core. */
const MAX_HASHES = 2 * MAX_EFFORT;
/** Hashes computed at once, some ms: streams go on meanwhile. */
export const SLICE_HASHES = 2_048;
/** Rest between slices, ms. */
export const REST_MS = 1;

/** What becomes of an introduction at its point. */
export type Introduced = Exclude<IntroduceAnswer["status"], "work">;

/** An introduction, ready to be sent. */
export interface SealedIntroduction extends WorkSubject {
  readonly authentication: PublicKey;
  readonly sealed: Bytes;
}

/** What may be computed for one approach, whatever its points demand. */
export class WorkBudget {
  #hashes = MAX_HASHES;

  /** Hashes left. */
  get hashes(): number {
    return this.#hashes;
  }

  /** So many have been computed. */
  spend(hashes: number): void {
    this.#hashes -= hashes;
  }
}

/** Ask a point once. @throws {AnonNetError} */
export async function askPoint(
  { clock }: ServiceContext,
  circuit: ServiceCircuit,
  introduction: SealedIntroduction & { readonly work?: Work },
  { signal }: WaitLimit,
): Promise<IntroduceAnswer> {
  using limit = deadline(clock, ACK_MS, noAck, signal);
  const body = encodeIntroduce1(introduction);
  return decodeIntroduceAck(await circuit.ask("introduce1", body, limit));
}

/**
 * Do what a point demands, until it passes us on or we have done enough.
 *
 * @param first What it has answered already.
 * @returns `"busy"` when it wants more than we do.
 * @throws {AnonNetError}
 */
export async function satisfyPoint(
  context: ServiceContext,
  circuit: ServiceCircuit,
  introduction: SealedIntroduction,
  first: IntroduceAnswer,
  budget: WorkBudget,
  limit: WaitLimit,
): Promise<Introduced> {
  let answer = first;
  for (let demands = 0; answer.status === "work"; demands++) {
    if (demands === MAX_DEMANDS) return "busy";
    // A client that was outbid once does better this time.
    const effort = Math.min(MAX_EFFORT, answer.demand.effort * 2 ** demands);
    const demand = { seed: answer.demand.seed, effort };
    const work = await doWork(context, demand, introduction, budget, limit);
    if (work === undefined) return "busy";
    answer = await askPoint(
      context,
      circuit,
      { ...introduction, work },
      limit,
    );
  }
  return answer.status;
}

async function doWork(
  { clock, crypto, random }: ServiceContext,
  demand: WorkDemand,
  introduction: SealedIntroduction,
  budget: WorkBudget,
  { signal }: WaitLimit,
): Promise<Work | undefined> {
  const search = new WorkSearch(crypto, random, demand, introduction);
  while (budget.hashes > 0) {
    const before = search.hashes;
    const work = search.run(Math.min(SLICE_HASHES, budget.hashes));
    budget.spend(search.hashes - before);
    if (work !== undefined) return work;
    await sleep(clock, REST_MS, { signal });
  }
  return undefined;
}

function noAck(): UnreachableError {
  return new UnreachableError(
    "service.no_ack",
    "Cannot be introduced: the point does not answer",
  );
}
