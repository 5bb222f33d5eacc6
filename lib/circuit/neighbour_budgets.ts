/**
 * What the circuits of one neighbour may ask of a relay per second: creations, which
 * cost it a third of a millisecond each, and requests to the DHT, each of which
 * costs thirty other relays a message. Many links of one host have one budget.
 *
 * @see protocol §5.6 "Memory"
 * @module
 */
import { RecentMap } from "../base/recent_map.ts";
import { TokenBucket, type TokenRate } from "../base/token_bucket.ts";
import type { CircuitAccount } from "./circuit_places.ts";

/** What budgets are for. */
export type Expense = "create" | "dht_get" | "dht_put";

/** Tuning: a relay asks for all clients whose circuits lead through it. */
const OF_RELAY: Readonly<Record<Expense, TokenRate>> = {
  create: { perSecond: 100, burst: 1000 },
  dht_get: { perSecond: 50, burst: 500 },
  dht_put: { perSecond: 10, burst: 200 },
};

/** Tuning: a host that is no relay asks for itself. */
const OF_STRANGER: Readonly<Record<Expense, TokenRate>> = {
  create: { perSecond: 50, burst: 500 },
  dht_get: { perSecond: 5, burst: 100 },
  dht_put: { perSecond: 1, burst: 40 },
};

/** Tuning: requests to the DHT of one circuit; an honest one makes four or eight. */
export const DHT_OF_CIRCUIT: TokenRate = { perSecond: 0.2, burst: 16 };

/** Tuning: accounts remembered; one that is forgotten has its whole budget again. */
const MAX_ACCOUNTS = 8192;

/** Budgets of all neighbours. */
export class NeighbourBudgets {
  readonly #buckets = new RecentMap<string, TokenBucket>(3 * MAX_ACCOUNTS);

  /** Spend once. @returns Whether the account had it. */
  spend(
    { name, kind }: CircuitAccount,
    expense: Expense,
    nowMs: number,
  ): boolean {
    const key = `${expense} ${name}`;
    let bucket = this.#buckets.get(key);
    if (bucket === undefined) {
      const rates = kind === "relay" ? OF_RELAY : OF_STRANGER;
      bucket = new TokenBucket(rates[expense], nowMs);
      this.#buckets.set(key, bucket);
    }
    return bucket.take(1, nowMs);
  }
}
