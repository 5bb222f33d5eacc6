/**
 * `SIGNAL`: what a program wants the node to do at once.
 *
 * @see {@link https://spec.torproject.org/control-spec/commands.html#signal | control-spec, 3.7}
 * @module
 */

/** What signals come to. */
export type TorSignal =
  | "reload"
  | "shutdown"
  | "dump"
  | "new_identity"
  | "heartbeat"
  | "none";

/** Tor's names, and what each comes to here. */
const SIGNALS: ReadonlyMap<string, TorSignal> = new Map([
  ["RELOAD", "reload"],
  ["HUP", "reload"],
  ["SHUTDOWN", "shutdown"],
  ["INT", "shutdown"],
  ["HALT", "shutdown"],
  ["TERM", "shutdown"],
  ["DUMP", "dump"],
  ["USR1", "dump"],
  ["NEWNYM", "new_identity"],
  ["HEARTBEAT", "heartbeat"],
  // There is no cache of names, and no rest to be woken from.
  ["CLEARDNSCACHE", "none"],
  ["ACTIVE", "none"],
]);

/** The names, for `GETINFO signal/names`. */
export const SIGNAL_NAMES: readonly string[] = [...SIGNALS.keys()];

/** The signal of a name, in either case; `undefined` for others. */
export function parseSignal(name: string): TorSignal | undefined {
  return SIGNALS.get(name.toUpperCase());
}
