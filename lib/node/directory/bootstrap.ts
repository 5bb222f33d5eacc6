/**
 * Finding a first peer: all given addresses at once, again and again until one
 * answers.
 *
 *     dial all ── one answers → done
 *              ── none does   → wait 1 s, 2 s, 4 s … 60 s, each ± 25 % → dial all
 *              ── all of them have other keys → give up and say so
 *              ── a record is of another time → our clock; try again
 *
 * @see protocol §9.2 "Start and stop"
 * @module
 */
import { shortKey } from "../../auth/identity.ts";
import { RecordDateError } from "../../auth/node_record.ts";
import type { NodeAddress } from "../../auth/node_address.ts";
import { type Clock, sleep } from "../../base/clock.ts";
import { ConfigError, ProtocolError } from "../../base/errors.ts";
import { type Random, randomBetween, shuffled } from "../../base/random.ts";
import { type Log, thrown } from "../../log/log.ts";

const FIRST_WAIT_MS = 1_000;
/** A network that is down must be found again within a minute of its return. */
const MAX_WAIT_MS = 60_000;
/** Addresses dialled at once: enough that a few dead ones cost no time. */
const MAX_DIALS = 8;

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
  const { clock, random, log, signal } = options;
  const hopeful = new Set(options.addresses);
  log.info("Joining the network", { nodes: hopeful.size });
  for (
    let waitMs = FIRST_WAIT_MS;;
    waitMs = Math.min(2 * waitMs, MAX_WAIT_MS)
  ) {
    signal.throwIfAborted();
    const addresses = shuffled(random, [...hopeful]);
    if (await dialAll(addresses, hopeful, options)) return;
    signal.throwIfAborted();
    if (hopeful.size === 0) throw noAddressLeft(options.addresses.length);
    const pauseMs = Math.round(waitMs * randomBetween(random, 0.75, 1.25));
    log.warning("No bootstrap node answers; trying again", {
      nodes: hopeful.size,
      inMs: pauseMs,
    });
    await sleep(clock, pauseMs, { signal });
  }
}

/** Dial addresses, some at once. Whether one answered; the rest are called off. */
async function dialAll(
  addresses: readonly NodeAddress[],
  hopeful: Set<NodeAddress>,
  options: BootstrapOptions,
): Promise<boolean> {
  const waiting = [...addresses];
  const found = new AbortController();
  const signal = AbortSignal.any([options.signal, found.signal]);
  const dialInTurn = async () => {
    for (let next; !signal.aborted && (next = waiting.pop()) !== undefined;) {
      try {
        await options.dial(next, { signal });
        found.abort();
      } catch (error) {
        if (signal.aborted) return;
        if (error instanceof RecordDateError) {
          reportClock(next, error, options.log);
          continue;
        }
        if (error instanceof ProtocolError) hopeful.delete(next);
        report(next, error, options.log);
      }
    }
  };
  await Promise.all(Array.from({ length: MAX_DIALS }, dialInTurn));
  return found.signal.aborted;
}

function report(node: NodeAddress, error: unknown, log: Log): void {
  const fields = {
    peer: shortKey(node.publicKey),
    error: thrown(error),
  };
  if (error instanceof ProtocolError) {
    log.error("A bootstrap node is not the one it should be", fields);
  } else log.info("A bootstrap node does not answer", fields);
}

/** The peer has proven who it is: one of the two clocks is wrong, and it is tried again. */
function reportClock(
  node: NodeAddress,
  { aheadMs }: RecordDateError,
  log: Log,
): void {
  const off = `at least ${formatHours(Math.abs(aheadMs))} ${
    aheadMs > 0 ? "behind" : "ahead"
  }`;
  log.error(
    "The clock of this machine seems to be wrong: set it, and the node goes on",
    {
      peer: shortKey(node.publicKey),
      error: new ConfigError(
        "node.clock",
        `Cannot join the network: this machine's clock is ${off}, by what a ` +
          `bootstrap node has signed`,
      ),
    },
  );
}

/** Such as `2 h 10 min`, or `3 d 2 h`. */
function formatHours(ms: number): string {
  const minutes = Math.floor(ms / 60_000);
  const hours = Math.floor(minutes / 60);
  return hours < 24
    ? `${hours} h ${minutes % 60} min`
    : `${Math.floor(hours / 24)} d ${hours % 24} h`;
}

function noAddressLeft(count: number): ConfigError {
  return new ConfigError(
    "node.bootstrap",
    `Cannot join the network: ${
      count === 1
        ? "the bootstrap address answers, but not with its key"
        : `all ${count} bootstrap addresses answer, but not with their keys`
    } or protocol; compare each --bootstrap, letter by letter, with what the ` +
      `node printed, and --network on both sides`,
  );
}
