/**
 * A host's part in keeping the roster of its service where clients look for it.
 *
 *     RosterTurns ─▶ look ─────▶ directory circuit ── dht_get ──▶ what is there
 *                 ─▶ publish ──▶ directory circuit ── dht_put × 4 replicas
 *
 * The host's own descriptor goes out by other circuits: no relay sees both.
 *
 * @see protocol §7.8 "Several hosts"
 * @module
 */
import { deadline } from "../../../base/clock.ts";
import { equalBytes } from "../../../base/bytes.ts";
import {
  AnonNetError,
  ProtocolError,
  UnreachableError,
} from "../../../base/errors.ts";
import { MachineTimer } from "../../../base/machine_timer.ts";
import { randomBelow } from "../../../base/random.ts";
import type { TaskSet } from "../../../base/task_set.ts";
import { type Log, thrown } from "../../../log/log.ts";
import {
  type DelegatedPeriod,
  type Delegation,
  delegationEndMs,
  rosterRecords,
  type SignedRoster,
} from "../../../service/delegation/delegation.ts";
import { dateOf } from "../../../service/delegation/host_file.ts";
import {
  type HostStanding,
  type RosterAction,
  type RosterSight,
  RosterTurns,
} from "../../../service/delegation/roster_turns.ts";
import { DESCRIPTOR_REPLICAS } from "../../../service/descriptor_search.ts";
import { blindedKey, type TimePeriod } from "../../../service/time_period.ts";
import { whileAlive } from "../../circuit/circuit_use.ts";
import type { ServiceCircuit, WaitLimit } from "../../circuit/circuits.ts";
import {
  momentOf,
  type ServiceContext,
} from "../../session/service_context.ts";
import { readService, storeRecords } from "../../visit/descriptor_store.ts";

/** A look or a publication that has not ended by then has failed, ms. */
const WAIT_MS = 40_000;
/** The operator is told of the end of a delegation from so long before, ms. */
const WARN_MS = 3 * 24 * 3_600_000;
/** And again after so long, ms. */
const WARN_AGAIN_MS = 12 * 3_600_000;

/** Whose roster is kept, and by whom. */
export interface RosterKeeperOptions {
  readonly context: ServiceContext;
  /** What the operator calls the service; stands in the log. */
  readonly name: string;
  readonly delegation: Delegation;
  /** Owns what is under way. */
  readonly tasks: TaskSet;
  readonly stopping: AbortSignal;
  /** {@linkcode RosterKeeper.isNamed} may be another. */
  readonly onStanding: () => void;
}

/** Keeps a roster published. */
export class RosterKeeper {
  readonly #options: RosterKeeperOptions;
  readonly #log: Log;
  readonly #turns: RosterTurns;
  readonly #timer: MachineTimer;
  #standing: HostStanding = "unknown";
  #warnMs = -Infinity;

  constructor(options: RosterKeeperOptions) {
    const { context, delegation, stopping } = options;
    this.#options = options;
    this.#log = context.log.part("service");
    this.#turns = new RosterTurns(context.random, delegation);
    this.#timer = new MachineTimer(context.clock, () => this.start());
    stopping.addEventListener("abort", () => this.#timer.stop(), {
      once: true,
    });
  }

  /** Whether clients that look for the service learn of this host. */
  get isNamed(): boolean {
    const unixMs = this.#options.context.clock.unixMs();
    const standing = this.#turns.standing(unixMs);
    return standing === "named" || standing === "outdated";
  }

  /** Begin, and do what is due. */
  start(): void {
    this.#warn();
    this.#carryOut(this.#turns.onTime(momentOf(this.#options.context.clock)));
  }

  /** The machine is on another network, or awake again: look at once. */
  onNetworkChange(): void {
    this.#turns.onDoubt(this.#options.context.clock.nowMs());
    this.start();
  }

  #carryOut(actions: readonly RosterAction[]): void {
    const { tasks, stopping } = this.#options;
    if (stopping.aborted) return;
    for (const action of actions) {
      tasks.run(
        action.type === "look"
          ? this.#look(action.period)
          : this.#publish(action.of, action.roster),
      );
    }
    this.#tell();
    this.#timer.set(this.#turns.deadlineMs);
  }

  async #look(period: TimePeriod): Promise<void> {
    let sight: RosterSight = { type: "unknown" };
    try {
      sight = await this.#byCircuit((circuit, limit) =>
        this.#see(circuit, period, limit)
      );
    } catch (error) {
      this.#failed("look for the roster of a service", error);
    }
    const at = momentOf(this.#options.context.clock);
    this.#carryOut(this.#turns.onLooked(period, sight, at));
  }

  async #see(
    circuit: ServiceCircuit,
    period: TimePeriod,
    limit: WaitLimit,
  ): Promise<RosterSight> {
    const { context, delegation } = this.#options;
    const { crypto, random } = context;
    const { service, slot, periods } = delegation;
    const wanted = {
      service,
      period,
      blinded: blindedKey(crypto, service, period),
      leastRevision: 0,
      leastIssue: 0,
      clientSecret: undefined,
    };
    const replica = randomBelow(random, DESCRIPTOR_REPLICAS);
    let found;
    try {
      found = await readService(context, circuit, wanted, replica, limit);
    } catch (error) {
      // Closed to us, it is of the service's own key, and most likely of before.
      if (error instanceof ProtocolError) return { type: "missing" };
      throw error;
    }
    if (found === undefined) return { type: "missing" };
    const { name: { revision }, record } = found;
    const ours = periods.find((one) => one.period === period)?.hosts
      .find((host) => host.slot === slot);
    const namesUs = record.type === "roster" && ours !== undefined &&
      record.hosts.some((host) => equalBytes(host.key, ours.key));
    return { type: "found", revision, issue: record.issue, namesUs };
  }

  async #publish(of: DelegatedPeriod, roster: SignedRoster): Promise<void> {
    const { context, delegation } = this.#options;
    const { clock, crypto, network } = context;
    let isStored = false;
    const onEnded = (copies: number) => {
      this.#turns.onPublished(of.period, copies, clock.nowMs());
      this.#carryOut([]);
    };
    try {
      await this.#byCircuit((circuit, limit) =>
        storeRecords(
          circuit,
          rosterRecords(crypto, network, delegation, of, roster),
          () => {
            isStored = true;
            onEnded(1);
          },
          limit,
        )
      );
    } catch (error) {
      this.#failed("publish the roster of a service", error);
    }
    if (!isStored) onEnded(0);
  }

  async #byCircuit<T>(
    use: (circuit: ServiceCircuit, limit: WaitLimit) => Promise<T>,
  ): Promise<T> {
    const { context: { circuits, clock }, stopping } = this.#options;
    using limit = deadline(clock, WAIT_MS, tooLong, stopping);
    const { signal } = limit;
    const circuit = await circuits.take({ purpose: "directory", signal });
    try {
      return await whileAlive(
        clock,
        circuit,
        limit,
        (limit) => use(circuit, limit),
      );
    } finally {
      circuit.close();
    }
  }

  #failed(what: string, error: unknown): void {
    const { name, stopping } = this.#options;
    if (stopping.aborted) return;
    if (!(error instanceof AnonNetError)) throw error;
    this.#log.debug(`Could not ${what}`, { name, error: thrown(error) });
  }

  /** Tell the operator what has changed, and the service whether it can be found. */
  #tell(): void {
    const { context, name, onStanding } = this.#options;
    const standing = this.#turns.standing(context.clock.unixMs());
    if (standing === this.#standing) return;
    this.#standing = standing;
    if (standing === "revoked") {
      this.#log.warning(
        "This host serves no more: the service's key was delegated anew, and " +
          "this host's file taken back",
        { name },
      );
    }
    if (standing === "outdated") {
      this.#log.warning(
        "The service's key was delegated anew: copy the new file to this host",
        { name },
      );
    }
    onStanding();
  }

  #warn(): void {
    const { context: { clock }, name, delegation } = this.#options;
    const endMs = delegationEndMs(delegation);
    const leftMs = endMs - clock.unixMs();
    if (leftMs > WARN_MS || clock.nowMs() < this.#warnMs) return;
    this.#warnMs = clock.nowMs() + WARN_AGAIN_MS;
    const fields = { name, until: dateOf(endMs) };
    if (leftMs > 0) {
      this.#log.warning("The file of this host lapses soon: renew it", fields);
    } else {
      this.#log.warning("The file of this host has lapsed: renew it", fields);
    }
  }
}

function tooLong(): UnreachableError {
  return new UnreachableError(
    "service.publish_timeout",
    "Cannot publish roster: it takes too long",
  );
}
