/**
 * What a relay may use, and what it says of its operator.
 *
 * @module
 */
import {
  parseByteRate,
  parseBytes,
  parseCount,
  parseTrafficLimit,
} from "./sizes.ts";
import {
  type FlagValues,
  optionalFlag,
  parseText,
  switchFlag,
} from "./flag.ts";
import type { RelayLimits } from "../../node/relay/relay_limits.ts";

/** Of relays. */
export const LIMIT_FLAGS = {
  rate: optionalFlag(
    "RATE",
    "bytes that it passes on per second, such as 1MB or 10Mbit; packets take some " +
      "8 % more. No limit, if not given",
    parseByteRate,
  ),
  burst: optionalFlag(
    "BYTES",
    "bytes that go out at once after a quiet time; those of a second, if not given",
    parseBytes,
  ),
  "accounting-max": optionalFlag(
    "BYTES/UNIT",
    "bytes both ways in a day, week or month (UTC), such as 500GB/month; then it " +
      "sleeps until the next one",
    parseTrafficLimit,
  ),
  "max-circuits": optionalFlag(
    "N",
    "circuits of others at once; 16384, if not given",
    parseCount,
  ),
  memory: optionalFlag(
    "BYTES",
    "memory for cells that wait; 512MiB, if not given",
    parseBytes,
  ),
  contact: optionalFlag(
    "TEXT",
    "how others reach you, for all to read",
    parseText,
  ),
  family: switchFlag(
    "be of the family whose key is family.key in the state directory, the same for " +
      "all relays of yours: no path uses two of them",
  ),
};

/** What of the flags limits a relay. */
export function relayLimits(
  values: FlagValues<typeof LIMIT_FLAGS>,
): RelayLimits {
  return {
    rate: values.rate,
    burst: values.burst,
    accounting: values["accounting-max"],
    maxCircuits: values["max-circuits"],
    memory: values.memory,
  };
}
