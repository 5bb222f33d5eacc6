/**
 * AnonNet as a library: what an embedding program gets, name by name.
 *
 * Everything else under `lib/` is free to change between two releases.
 *
 * @example Tell errors apart by what to do about them
 * ```ts
 * import { ConfigError, parseSocketAddress, UnreachableError } from "./mod.ts";
 *
 * try {
 *   parseSocketAddress("relay.example:4001");
 * } catch (error) {
 *   if (error instanceof ConfigError) console.error(error.message); // tells what to write
 *   else if (error instanceof UnreachableError) console.error("later, perhaps");
 *   else throw error;
 * }
 * ```
 *
 * @module
 */
export {
  AnonNetError,
  type AnonNetErrorOptions,
  BugError,
  ConfigError,
  ProtocolError,
  UnreachableError,
} from "./base/errors.ts";
export {
  formatSocketAddress,
  parseSocketAddress,
  type SocketAddress,
} from "./auth/socket_address.ts";
