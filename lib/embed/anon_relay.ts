/**
 * A relay for embedding programs: for networks of one's own, and for tests.
 *
 * @module
 */
import { formatNodeAddress } from "../auth/node_address.ts";
import type { NetworkTraits } from "../auth/network.ts";
import { parseSocketAddress } from "../auth/socket_address.ts";
import { ErrorLog } from "../log/error_log.ts";
import type { Log } from "../log/log.ts";
import { networkOf, parseSources } from "../node/network_choice.ts";
import { Node } from "../node/node.ts";
import { type Runtime, systemRuntime } from "../machine/runtime.ts";

/** How a relay is started. */
export interface AnonRelayOptions {
  /** Path of the state directory: its key above all. */
  readonly state: string;
  /**
   * `"main"`, `"local"`, or a network of one's own. Default: that of the state
   * directory, or of an invite in `bootstrap`, or else `"main"`.
   */
  readonly network?: string | NetworkTraits;
  /** The UDP address to listen on, `IP:PORT`; port 0 for any free one. */
  readonly listen: string;
  /** Where others can dial it, if not there. */
  readonly advertise?: readonly string[];
  /** Bytes per second that it will carry. Default: what it has carried. */
  readonly bandwidth?: number;
  /** Relays to join the network by, or invites; the first one of a network has none. */
  readonly bootstrap?: readonly string[];
  /** Hears of what happens. Default: errors go to the console, and nothing else. */
  readonly log?: Log;
  /** Ends the start; it rejects with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** A running relay. */
export class AnonRelay implements AsyncDisposable {
  readonly #node: Node;

  private constructor(node: Node) {
    this.#node = node;
  }

  /**
   * Start a relay. Resolves once its neighbourhood knows it, or at once where it is
   * the first of its network.
   *
   * @throws {ConfigError} `storage.*`, `transport.*`, `node.*`.
   * @throws the reason of `signal`.
   */
  static async start(options: AnonRelayOptions): Promise<AnonRelay> {
    const log = options.log ?? new ErrorLog();
    return await AnonRelay.startOn(await systemRuntime(log), options);
  }

  /**
   * Start a relay on another machine than this one: a simulated one.
   *
   * @internal
   */
  static async startOn(
    machine: Runtime,
    options: AnonRelayOptions,
  ): Promise<AnonRelay> {
    const node = await Node.start({
      state: options.state,
      network: networkOf(options.network),
      ...parseSources(machine.crypto, options.bootstrap ?? []),
      relay: {
        listen: parseSocketAddress(options.listen),
        advertise: (options.advertise ?? []).map(parseSocketAddress),
        bandwidth: options.bandwidth,
      },
      control: "off",
      holder: `pid ${Deno.pid}`,
      signal: options.signal ?? new AbortController().signal,
    }, machine);
    return new AnonRelay(node);
  }

  /** `anon://…`, for the bootstrap lists of others, once it is known where they can dial it. */
  get address(): string | undefined {
    const { address } = this.#node;
    return address && formatNodeAddress(address);
  }

  /** Stop it. Idempotent. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#node[Symbol.asyncDispose]();
  }
}
