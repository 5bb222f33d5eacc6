/**
 * Which network an embedding program means.
 *
 * @module
 */
import {
  customNetwork,
  type NetworkParameters,
  networkParameters,
  type NetworkTraits,
} from "../auth/network.ts";

/**
 * A built-in network by its name, or one of the program's own.
 *
 * @throws {ConfigError} `auth.unknown_network`.
 * @throws {RangeError} for traits out of range.
 */
export function networkOf(
  network: string | NetworkTraits = "main",
): NetworkParameters {
  return typeof network === "string"
    ? networkParameters(network)
    : customNetwork(network);
}
