/**
 * An introduction point's side: which circuit belongs to which service key, and
 * who is passed on when.
 *
 *     establish_intro ──▶ a gate for that key
 *     introduce1 ──▶ known key? ── work right, if any? ──▶ gate ──▶ pass on, answer
 *                                                           └────▶ answer: work
 *
 * A circuit is good for one introduction, and for a few attempts at it: a
 * client that floods must build a circuit for each. That also makes it plain which work is
 * whose, and that none counts twice.
 *
 * @see protocol §7.4 "Introduction"
 * @module
 */
import type { PublicKey } from "../../auth/identity.ts";
import type { Bytes } from "../../base/bytes.ts";
import type { Random } from "../../base/random.ts";
import type { CryptoSuite } from "../../crypto/suite.ts";
import { IntroductionGate, MAX_QUEUED } from "./introduction_gate.ts";
import type { Introduce1, IntroduceAnswer } from "./introduction_messages.ts";
import { WorkSeeds } from "./introduction_work.ts";

/** Services that one relay is an introduction point for. */
const MAX_ESTABLISHED = 10_000;
/** Introductions that wait at all gates, 4 KiB each. */
export const MAX_QUEUED_IN_ALL = 512;
/** Times that a circuit may ask for its one introduction. */
export const MAX_ASKS = 8;

/** A client's circuit, as far as the table needs it. */
export interface Asker<Circuit> {
  readonly circuit: Circuit;
  /** Of that circuit (protocol §5.2 "Create"). */
  readonly binding: Uint8Array;
}

/** What the driver shall do. */
export type TableAction<Circuit> =
  /** Send `sealed` to `service`; tell `client` that it was passed on, or else that it is unknown. */
  | {
    readonly type: "pass";
    readonly service: Circuit;
    readonly client: Circuit;
    readonly sealed: Bytes;
  }
  /** Answer a client. */
  | {
    readonly type: "answer";
    readonly client: Circuit;
    readonly answer: IntroduceAnswer;
  }
  /** A client does what it must not: end its circuit. */
  | { readonly type: "refuse"; readonly client: Circuit };

interface Listener<Circuit> {
  readonly key: PublicKey;
  circuit: Circuit;
  readonly gate: IntroductionGate<Waiting<Circuit>>;
}

interface Waiting<Circuit> {
  readonly asker: Asker<Circuit>;
  readonly sealed: Bytes;
}

interface Asked {
  times: number;
  /** Whether its introduction waits, or was passed on. */
  isTaken: boolean;
}

/** Where introductions go. `Circuit` is whatever the driver knows a circuit by. */
export class IntroductionTable<Circuit> {
  readonly #seeds: WorkSeeds;
  readonly #listeners = new Map<string, Listener<Circuit>>();
  readonly #keys = new Map<Circuit, string>();
  /** Gates with a client waiting. */
  readonly #busy = new Set<Listener<Circuit>>();
  readonly #asked = new Map<Circuit, Asked>();

  constructor(crypto: CryptoSuite, random: Random) {
    this.#seeds = new WorkSeeds(crypto, random);
  }

  /** Services that listen here. */
  get size(): number {
    return this.#listeners.size;
  }

  /** Introductions that wait here. */
  get waiting(): number {
    let waiting = 0;
    for (const { gate } of this.#busy) waiting += gate.length;
    return waiting;
  }

  /** When {@linkcode onTime} has something to do. */
  get deadlineMs(): number {
    let due = Infinity;
    for (const { gate } of this.#busy) due = Math.min(due, gate.deadlineMs);
    return due;
  }

  /**
   * A service listens under `key` on `circuit`. A key that was established before
   * moves to the new circuit: its holder has signed for it. On the circuit that it
   * has already it says how many introductions it wants.
   *
   * @param rate Introductions per second that it wants, if it says so.
   * @returns The circuit that it replaces, if any; `"full"` when there is no room;
   * `"taken"` when the circuit listens under another key.
   */
  establish(
    key: PublicKey,
    circuit: Circuit,
    rate: number | undefined,
    nowMs: number,
  ): { readonly replaced: Circuit | undefined } | "full" | "taken" {
    const name = key.toHex();
    const own = this.#keys.get(circuit);
    if (own !== undefined && own !== name) return "taken";
    const before = this.#listeners.get(name);
    if (before === undefined && this.#listeners.size >= MAX_ESTABLISHED) {
      return "full";
    }
    // A service that establishes anew does not get a new burst with it.
    const listener = before ??
      { key, circuit, gate: new IntroductionGate(nowMs) };
    const replaced = listener.circuit === circuit
      ? undefined
      : listener.circuit;
    if (replaced !== undefined) this.#keys.delete(replaced);
    listener.circuit = circuit;
    if (rate !== undefined) listener.gate.setRate(rate, nowMs);
    this.#listeners.set(name, listener);
    this.#keys.set(circuit, name);
    return { replaced };
  }

  /** A client wants to be introduced. */
  introduce(
    { authentication, sealed, work }: Introduce1,
    asker: Asker<Circuit>,
    nowMs: number,
  ): TableAction<Circuit>[] {
    const { circuit: client, binding } = asker;
    const asked = this.#asked.get(client) ?? { times: 0, isTaken: false };
    this.#asked.set(client, asked);
    // Before anything is computed for it.
    if (asked.isTaken || ++asked.times > MAX_ASKS) {
      return [{ type: "refuse", client }];
    }
    const listener = this.#listeners.get(authentication.toHex());
    if (listener === undefined) {
      return [{ type: "answer", client, answer: { status: "unknown" } }];
    }
    const subject = { authentication, sealed };
    // Work for a seed that is too old is no crime, and counts for nothing.
    const effort = work !== undefined &&
        this.#seeds.isDone(subject, work, binding, nowMs)
      ? work.effort
      : 0;
    asked.isTaken = true;
    const dropped = listener.gate.add({ asker, sealed }, effort, nowMs);
    const actions = this.#turnAway(listener, dropped, nowMs);
    if (listener.gate.length > 0) this.#busy.add(listener);
    return [...actions, ...this.#passOn(listener, nowMs), ...this.#shed(nowMs)];
  }

  /** Pass on those whose turn it is, and answer those who have waited too long. */
  onTime(nowMs: number): TableAction<Circuit>[] {
    return [...this.#busy].flatMap((listener) => {
      const passed = this.#passOn(listener, nowMs);
      const late = listener.gate.expire(nowMs);
      this.#settle(listener);
      return [...passed, ...this.#turnAway(listener, late, nowMs)];
    });
  }

  /**
   * A circuit does not end here any more, or perhaps not: clients that waited for
   * it hear that no service listens. What it asked for is still known: it may end
   * here again, and its work must not count twice.
   */
  withdraw(circuit: Circuit): TableAction<Circuit>[] {
    if (this.#asked.get(circuit)?.isTaken === true) {
      for (const listener of this.#busy) {
        listener.gate.remove(({ asker }) => asker.circuit === circuit);
        this.#settle(listener);
      }
    }
    const name = this.#keys.get(circuit);
    const listener = this.#listeners.get(name ?? "");
    if (name === undefined || listener === undefined) return [];
    this.#keys.delete(circuit);
    this.#listeners.delete(name);
    this.#busy.delete(listener);
    return listener.gate.remove(() => true).map(({ asker }) => ({
      type: "answer",
      client: asker.circuit,
      answer: { status: "unknown" },
    }));
  }

  /** Nothing is left of a circuit. */
  forget(circuit: Circuit): void {
    this.#asked.delete(circuit);
  }

  #passOn(
    listener: Listener<Circuit>,
    nowMs: number,
  ): TableAction<Circuit>[] {
    const actions: TableAction<Circuit>[] = [];
    const { gate, circuit: service } = listener;
    for (;;) {
      const next = gate.take(nowMs);
      if (next === undefined) break;
      const { asker: { circuit: client }, sealed } = next;
      actions.push({ type: "pass", service, client, sealed });
    }
    this.#settle(listener);
    return actions;
  }

  /** Tell those who got no place what one costs. */
  #turnAway(
    { key, gate }: Listener<Circuit>,
    dropped: readonly Waiting<Circuit>[],
    nowMs: number,
  ): TableAction<Circuit>[] {
    return dropped.map(({ asker: { circuit: client, binding } }) => {
      const asked = this.#asked.get(client);
      if (asked !== undefined) asked.isTaken = false;
      const seed = this.#seeds.seed(key, binding, nowMs);
      const effort = gate.price(nowMs);
      return effort === 0
        ? { type: "answer", client, answer: { status: "busy" } }
        : {
          type: "answer",
          client,
          answer: { status: "work", demand: { seed, effort } },
        };
    });
  }

  /** Too many wait at all gates: the client that did least anywhere goes. */
  #shed(nowMs: number): TableAction<Circuit>[] {
    const actions: TableAction<Circuit>[] = [];
    const most = this.#busy.size * MAX_QUEUED;
    if (most <= MAX_QUEUED_IN_ALL) return actions; // without counting
    while (this.waiting > MAX_QUEUED_IN_ALL) {
      const [lowest] = [...this.#busy].sort((a, b) =>
        a.gate.lowest - b.gate.lowest
      );
      if (lowest === undefined) break;
      const dropped = lowest.gate.dropLowest(nowMs);
      actions.push(...this.#turnAway(lowest, dropped, nowMs));
      this.#settle(lowest);
    }
    return actions;
  }

  #settle(listener: Listener<Circuit>): void {
    if (listener.gate.length === 0) this.#busy.delete(listener);
  }
}
