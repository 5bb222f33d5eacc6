/**
 * AnonNet as a library: what an embedding program gets, name by name.
 *
 * Everything else under `lib/` is free to change between two releases.
 *
 * @example Visit a service
 * ```ts
 * import { AnonNet } from "./mod.ts";
 *
 * await using node = await AnonNet.start({
 *   state: "state",
 *   bootstrap: ["anon://…@192.0.2.7:4001"],
 * });
 * const response = await node.fetch("http://….anon/", { isolate: "reader" });
 * console.log(await response.text());
 * ```
 *
 * @example Host a site
 * ```ts
 * import { AnonNet } from "./mod.ts";
 *
 * await using node = await AnonNet.start({ state: "state" });
 * await using site = await node.serve({ port: 80 }, () => new Response("Hello"));
 * console.log(`http://${site.host}/`);
 * ```
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
export type { NetworkTraits } from "./auth/network.ts";
export {
  AnonNet,
  type AnonNetOptions,
  type HostedFacts,
  type HostOptions,
  type ServeOptions,
  type VisitOptions,
} from "./embed/anonnet.ts";
export { AnonRelay, type AnonRelayOptions } from "./embed/anon_relay.ts";
export type { AnonConnection } from "./embed/anon_connection.ts";
export type { AnonService } from "./embed/anon_service.ts";
export type {
  ErrorHandler,
  SiteHandler,
  SiteRequestInfo,
} from "./http/site_answer.ts";
export type { Log, LogFields, LogValue, Sensitive } from "./log/log.ts";
