/**
 * Finding a first peer: dials what {@linkcode FirstContact} names, and tells the
 * operator what it finds.
 *
 *     FirstContact ─ dial ─▶ link, handshake ─▶ answer │ silence │ other key │ other time
 *
 * @see protocol §9.2 "Start and stop"
 * @module
 */
import { dateErrorOf } from "../../auth/clock_doubt.ts";
import { shortKey } from "../../auth/identity.ts";
import type { NodeAddress } from "../../auth/node_address.ts";
import { type Clock, raceSignal } from "../../base/clock.ts";
import { ProtocolError } from "../../base/errors.ts";
import { MachineTimer } from "../../base/machine_timer.ts";
import type { Random } from "../../base/random.ts";
import { TaskSet } from "../../base/task_set.ts";
import {
  type ContactAction,
  FirstContact,
} from "../../dht/join/first_contact.ts";
import { type Log, thrown } from "../../log/log.ts";

/** What finding a peer takes. */
interface BootstrapOptions {
  /** Where to try, at least one. */
  readonly addresses: readonly NodeAddress[];
  /**
   * Open a link, handshake and all.
   *
   * @throws {ProtocolError} when a node answers that we do not want: not tried
   * again. Other errors: tried again.
   */
  readonly dial: (
    address: NodeAddress,
    options: { readonly signal: AbortSignal },
  ) => Promise<unknown>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Hears that our clock seems to be wrong, in words, and `undefined` once a peer answers. */
  readonly onClock?: ((words: string | undefined) => void) | undefined;
  /** Ends the search; the promise rejects with its reason. */
  readonly signal: AbortSignal;
}

/**
 * Dial until one peer has answered.
 *
 * @throws {ConfigError} `node.bootstrap` when every address is that of another
 * relay: waiting would not help.
 */
export async function bootstrap(options: BootstrapOptions): Promise<void> {
  options.signal.throwIfAborted();
  await using search = new Search(options);
  await search.found();
}

/** One search under way. */
class Search implements AsyncDisposable {
  readonly #options: BootstrapOptions;
  readonly #machine: FirstContact;
  readonly #timer: MachineTimer;
  readonly #done = Promise.withResolvers<void>();
  readonly #dials = new TaskSet((error) => this.#done.reject(error));
  readonly #over = new AbortController();
  /** Calls dials off. */
  readonly #signal: AbortSignal;

  constructor(options: BootstrapOptions) {
    const { addresses, clock, random, signal } = options;
    this.#options = options;
    this.#machine = new FirstContact(addresses, random);
    this.#signal = AbortSignal.any([signal, this.#over.signal]);
    this.#timer = new MachineTimer(
      clock,
      () => this.#obey(this.#machine.onTime(clock.nowMs())),
      { keepAlive: true }, // a program may have nothing else to do
    );
  }

  async found(): Promise<void> {
    const { clock, log, signal } = this.#options;
    log.info("Joining the network", { nodes: this.#machine.hopeful });
    this.#obey(this.#machine.start(clock.nowMs()));
    await raceSignal(this.#done.promise, signal);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort();
    this.#timer.stop();
    await this.#dials.ended();
  }

  #obey(actions: readonly ContactAction[]): void {
    const { log } = this.#options;
    for (const action of actions) {
      switch (action.type) {
        case "dial":
          this.#dials.run(this.#dial(action.address));
          break;
        case "joined":
          this.#options.onClock?.(undefined);
          this.#done.resolve();
          this.#over.abort();
          break;
        case "failed":
          this.#done.reject(action.error);
          break;
        case "wrong_clock":
          this.#options.onClock?.(action.error.message);
          log.error(
            "The clock of this machine seems to be wrong: set it, and the node goes on",
            {
              peer: shortKey(action.address.publicKey),
              error: action.error,
            },
          );
          break;
        case "silence":
          log.warning("No bootstrap node answers; trying again", {
            nodes: action.nodes,
            inMs: action.inMs,
          });
      }
    }
    this.#timer.set(this.#machine.deadlineMs);
  }

  async #dial(address: NodeAddress): Promise<void> {
    const signal = this.#signal;
    try {
      await this.#options.dial(address, { signal });
    } catch (error) {
      if (!signal.aborted) this.#onError(address, error);
      return;
    }
    this.#obey(this.#machine.onAnswer(address));
  }

  #onError(address: NodeAddress, error: unknown): void {
    const machine = this.#machine;
    const { log } = this.#options;
    const nowMs = this.#options.clock.nowMs();
    const doubt = dateErrorOf(error);
    if (doubt !== undefined) {
      return this.#obey(machine.onOtherTime(address, doubt.aheadMs, nowMs));
    }
    const fields = { peer: shortKey(address.publicKey), error: thrown(error) };
    if (error instanceof ProtocolError) {
      log.error("A bootstrap node is not the one it should be", fields);
      this.#obey(machine.onOther(address, nowMs));
    } else {
      log.info("A bootstrap node does not answer", fields);
      this.#obey(machine.onSilence(address, nowMs));
    }
  }
}
