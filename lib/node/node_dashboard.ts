/**
 * A node's dashboard: opened with the node, or when `anonnet dashboard` asks for it.
 *
 * @see protocol §9.3 "Control interface"
 * @module
 */
import type { SocketAddress } from "../auth/socket_address.ts";
import { errorCode } from "../base/errors.ts";
import type { ControlServer } from "../control/control_server.ts";
import {
  type DashboardOptions,
  DashboardServer,
} from "../dashboard/dashboard_server.ts";
import type { Finding } from "../doctor/finding.ts";
import {
  addressesFinding,
  directoryFact,
  familiesOf,
  stateFinding,
} from "../doctor/machine_findings.ts";
import type { LogTail } from "../log/log_tail.ts";
import { thrown } from "../log/log.ts";
import type { Runtime } from "../machine/runtime.ts";
import { type MeteredParts, TrafficMeter } from "./traffic_meter.ts";

/** How long an address is good that is printed at the start, and on request, ms. */
const FIRST_URL_MS = 60 * 60 * 1000;
const URL_MS = 10 * 60 * 1000;

/** What a node's dashboard is to be. */
export interface DashboardPlan {
  /** Where it listens. On request any port will do where this one is taken. */
  readonly address: SocketAddress;
  readonly opens: "at once" | "when asked";
  /** The log's last lines. */
  readonly tail?: LogTail | undefined;
  /** Told the address for the first browser, if it opens at once. */
  readonly onOpen?: ((url: string) => void) | undefined;
}

/** What it stands on. */
export interface DashboardBase {
  readonly control: ControlServer;
  readonly parts: MeteredParts;
  /** Path of the state directory. */
  readonly state: string;
  readonly runtime: Pick<
    Runtime,
    "clock" | "random" | "log" | "files" | "localAddresses"
  >;
}

/** The dashboard of one node, open or not. */
export class NodeDashboard implements AsyncDisposable {
  readonly #plan: DashboardPlan;
  readonly #base: DashboardBase;
  #server: DashboardServer | undefined;

  private constructor(plan: DashboardPlan, base: DashboardBase) {
    this.#plan = plan;
    this.#base = base;
  }

  /**
   * Register the command, and open the dashboard if that is to be at once.
   *
   * @throws {ConfigError} `dashboard.in_use`, `control.public`.
   */
  static plan(plan: DashboardPlan, base: DashboardBase): NodeDashboard {
    const dashboard = new NodeDashboard(plan, base);
    base.control.register("dashboard", () => dashboard.#onCommand());
    if (plan.opens === "at once") {
      const server = dashboard.#open(plan.address);
      plan.onOpen?.(server.newUrl(FIRST_URL_MS));
    }
    return dashboard;
  }

  #onCommand(): { readonly url: string } {
    const server = this.#server ?? this.#openSomewhere();
    return { url: server.newUrl(URL_MS) };
  }

  #openSomewhere(): DashboardServer {
    const { address } = this.#plan;
    try {
      return this.#open(address);
    } catch (error) {
      if (errorCode(error) !== "dashboard.in_use") throw error;
      return this.#open({ ...address, port: 0 });
    }
  }

  #open(address: SocketAddress): DashboardServer {
    const { control, parts, runtime: { clock, random, log } } = this.#base;
    const meter = new TrafficMeter(parts);
    const options: DashboardOptions = {
      address,
      node: {
        ask: (command, args) => control.run(command, args),
        traffic: () => meter.read(),
        check: () => this.#check(),
      },
      tail: this.#plan.tail,
      clock,
      random,
      onError: (error) =>
        log.part("dashboard").error("A bug: the dashboard failed", {
          error: thrown(error),
        }),
    };
    this.#server = new DashboardServer(options);
    log.part("dashboard").info("The dashboard is open", {
      port: this.#server.address.port,
    });
    return this.#server;
  }

  /** What `anonnet doctor` looks at, as far as the node that runs has no other eye on it. */
  async #check(): Promise<Finding[]> {
    const { state, runtime: { files, localAddresses } } = this.#base;
    const addresses = localAddresses?.();
    return [
      stateFinding(await directoryFact(files, state)),
      addressesFinding(addresses && familiesOf(addresses)),
    ];
  }

  /** Close it. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server?.[Symbol.asyncDispose]();
  }
}
