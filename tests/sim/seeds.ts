/**
 * How far a simulation goes: a few seeds with the other tests, as many as
 * `SIM_SEEDS` says in a long task.
 *
 *     SIM_SEEDS=301-400 deno task test tests/sim/chaos_test.ts      these
 *     deno task long:chaos-sim                                      1 to 1000
 *
 * @module
 */

/** Seeds to run: 1 to `few`, or those that the environment asks for. */
export function seeds(few: number): number[] {
  const wanted = Deno.env.get("SIM_SEEDS") ?? `${few}`;
  const [first, last] = wanted.includes("-")
    ? wanted.split("-").map(Number)
    : [1, Number(wanted)];
  if (!(Number(first) >= 1) || !(Number(last) >= Number(first))) {
    throw new TypeError(`Cannot run seeds "${wanted}": want 1000 or 301-400`);
  }
  const count = Number(last) - Number(first) + 1;
  return Array.from({ length: count }, (_, index) => Number(first) + index);
}

/** `short`, or `long` where the environment asks for seeds of its own. */
export function sized<T>(short: T, long: T): T {
  return Deno.env.get("SIM_SEEDS") === undefined ? short : long;
}
