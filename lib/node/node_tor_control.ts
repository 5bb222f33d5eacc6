/**
 * A node's control port of Tor's form: its cookie, its place, and what it knows of the
 * node.
 *
 * @see protocol §9.9 "Control port of Tor's form"
 * @module
 */
import { parseServiceHost } from "../service/address.ts";
import type { SocketAddress } from "../auth/socket_address.ts";
import type { Gateway } from "../http/gateway.ts";
import type { LogTail } from "../log/log_tail.ts";
import { thrown } from "../log/log.ts";
import type { Runtime } from "../machine/runtime.ts";
import type { StateDirectory } from "../storage/state_directory.ts";
import { COOKIE_BYTES } from "../torcontrol/authentication.ts";
import type { PasswordHash } from "../torcontrol/password_hash.ts";
import { TorControlServer } from "../torcontrol/tor_control_server.ts";
import { streamText, type TorEvent } from "../torcontrol/tor_event.ts";
import type { ClientKeys } from "./host/service_keys.ts";
import type { HostedServices } from "./services/hosted_services.ts";
import {
  NodeForPrograms,
  type ProcessWishes,
  type ToldParts,
} from "./torcontrol/node_for_programs.ts";
import { OnionNames } from "./torcontrol/onion_names.ts";
import { StreamWatch } from "./torcontrol/stream_watch.ts";
import { type MeteredParts, TrafficMeter } from "./traffic_meter.ts";

/**
 * The version of Tor whose control port this is like. Programs ask it to know what they
 * may say; four numbers with dots between them are all that some of them can read.
 */
const TOR_VERSION = "0.4.8.10-anonnet";

const COOKIE = "control-auth-cookie";

/** What a control port of Tor's form is to be. */
export interface TorControlPlan {
  /** Where it listens; port 0 for any. */
  readonly address: SocketAddress;
  /** Passwords that are as good as the cookie. Default: none. */
  readonly passwords?: readonly PasswordHash[] | undefined;
  /** Whether services take keys that AnonNet did not make. Default: no. */
  readonly takesForeignKeys?: boolean | undefined;
  /** The log's last lines. Default: programs are told none. */
  readonly tail?: LogTail | undefined;
  /** What programs may have the process do. */
  readonly wishes: ProcessWishes;
}

/** What it stands on. */
export interface TorControlBase {
  readonly state: StateDirectory;
  readonly parts: ToldParts & MeteredParts;
  readonly runtime: Runtime;
  readonly clientKeys: ClientKeys;
  /** Whether services are called by Tor's form of their key. */
  readonly hasAlias: boolean;
  readonly isAutomapping: boolean;
}

/** The control port of one node. */
export class NodeTorControl implements AsyncDisposable {
  readonly #base: TorControlBase;
  readonly #names: OnionNames;
  readonly #node: NodeForPrograms;
  readonly #server: TorControlServer;
  #watch: StreamWatch | undefined;

  private constructor(
    plan: TorControlPlan,
    base: TorControlBase,
    cookie: { readonly bytes: Uint8Array<ArrayBuffer>; readonly path: string },
  ) {
    const { crypto, random, clock, log } = base.runtime;
    const part = log.part("torcontrol");
    this.#base = base;
    this.#names = new OnionNames(crypto, base.hasAlias ? "alias" : "anon");
    const meter = new TrafficMeter(base.parts);
    this.#node = new NodeForPrograms({
      parts: base.parts,
      names: this.#names,
      clientKeys: base.clientKeys,
      crypto,
      random,
      clock,
      log: part,
      tail: plan.tail,
      wishes: plan.wishes,
      takesForeignKeys: plan.takesForeignKeys ?? false,
      isAutomapping: base.isAutomapping,
      stateDirectory: cookie.path.slice(0, -COOKIE.length - 1),
      traffic: () => meter.read(),
      streams: () => this.#watch?.streams ?? [],
      onEvent: (event) => this.#tell(event),
    });
    this.#server = new TorControlServer({
      address: plan.address,
      terms: {
        cookie: cookie.bytes,
        cookiePath: cookie.path,
        passwords: plan.passwords ?? [],
        version: TOR_VERSION,
        crypto,
        random,
      },
      node: this.#node,
      clock,
      onFault: (error) =>
        part.error("A bug: Tor's control port failed a program", {
          error: thrown(error),
        }),
    });
  }

  /**
   * Write a new cookie and listen.
   *
   * @throws {ConfigError} `torcontrol.public`, `torcontrol.in_use`, `storage.*`.
   */
  static async open(
    plan: TorControlPlan,
    base: TorControlBase,
  ): Promise<NodeTorControl> {
    const { state, runtime } = base;
    const bytes = runtime.random.bytes(COOKIE_BYTES);
    await state.writeNoteBytes(COOKIE, bytes);
    try {
      // Programs read it from wherever they were started.
      const path = await Deno.realPath(state.pathOf(COOKIE));
      const control = new NodeTorControl(plan, base, { bytes, path });
      runtime.log.part("torcontrol").info(
        "Tor's control port is open: who can read the cookie can host services " +
          "and stop this node",
        { port: control.address.port },
      );
      return control;
    } catch (error) {
      await state.removeNote(COOKIE);
      throw error;
    }
  }

  /** Where it listens, with the port that was really bound. */
  get address(): SocketAddress {
    return this.#server.address;
  }

  /** Services can be added from now on. */
  onHosted(services: HostedServices): void {
    this.#node.onHosted(services);
  }

  /** A gateway whose streams programs are told of. */
  watch(gateway: Gateway): Gateway {
    const { crypto } = this.#base.runtime;
    this.#watch = new StreamWatch(
      gateway,
      ({ host, port, isAlias }) =>
        isAlias
          ? `${
            this.#names.nameOf(parseServiceHost(crypto, host))
          }.onion:${port}`
          : `${host}:${port}`,
      (stream) =>
        this.#tell({ type: "STREAM", text: `STREAM ${streamText(stream)}` }),
    );
    return this.#watch;
  }

  #tell(event: TorEvent): void {
    this.#server.tell(event);
  }

  /** Let the programs go, with what lives as long as they do, and take the cookie away. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#node[Symbol.dispose]();
    await this.#server[Symbol.asyncDispose]();
    await this.#base.state.removeNote(COOKIE);
  }
}
