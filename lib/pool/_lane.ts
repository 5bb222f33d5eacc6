/**
 * What a pool keeps for each purpose apart: what is asked for, what may be built,
 * and what stands in the way.
 *
 * @module
 */
import { Demand } from "./demand.ts";
import type { PoolObstacle } from "./pool_circuit.ts";
import type { CircuitPurpose, PurposeRules } from "./purpose.ts";
import { RebuildBudget } from "./rebuild_budget.ts";

/** Builds of one purpose. */
export class Lane {
  readonly purpose: CircuitPurpose;
  readonly rules: PurposeRules;
  readonly demand = new Demand();
  readonly budget: RebuildBudget;
  /** Why nothing is built, if so. */
  obstacle: PoolObstacle | undefined;
  /** Nothing is to be tried before, unless something changes. */
  blockedUntilMs = -Infinity;

  constructor(purpose: CircuitPurpose, rules: PurposeRules) {
    this.purpose = purpose;
    this.rules = rules;
    this.budget = new RebuildBudget(rules.rebuilds);
  }

  /** Unused circuits to keep ready. */
  warmTarget(nowMs: number): number {
    const { warmLeast, warmMost } = this.rules;
    return Math.max(warmLeast, Math.min(warmMost, this.demand.peak(nowMs)));
  }
}
