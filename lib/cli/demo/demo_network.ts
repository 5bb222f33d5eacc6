/**
 * A complete network in this process: relays, a service and both proxies, each a
 * whole node with a state directory of its own, over real QUIC on the loopback
 * interface.
 *
 *     relay 1 ◀── relay 2 … n        service, proxies: clients of their own
 *
 * @module
 */
import { networkParameters } from "../../auth/network.ts";
import type { NodeAddress } from "../../auth/node_address.ts";
import type { SocketAddress } from "../../auth/socket_address.ts";
import { BugError } from "../../base/errors.ts";
import { siteTarget } from "../../http/site.ts";
import { type Log, thrown } from "../../log/log.ts";
import type { LogTail } from "../../log/log_tail.ts";
import type { DashboardPlan } from "../../node/node_dashboard.ts";
import { Node, type NodeOptions } from "../../node/node.ts";
import type { ServiceDefinition } from "../../node/host/node_services.ts";
import { type Runtime, systemRuntime } from "../../machine/runtime.ts";
import { demoSite } from "./demo_site.ts";

/** What a demo is made of. */
export interface DemoOptions {
  /** Relays, at least 5. */
  readonly relays: number;
  /** Where states are kept; an empty directory. */
  readonly directory: string;
  readonly log: Log;
  readonly tail: LogTail;
  /** Tells a person what is happening. */
  readonly tell: (line: string) => void;
  readonly signal: AbortSignal;
}

const LOOPBACK: SocketAddress = { host: "127.0.0.1", port: 0 };
/** Relays that start at the same time. */
const AT_ONCE = 4;

/** A running demo. */
export class DemoNetwork implements AsyncDisposable {
  /** Where to point programs. */
  readonly socks: SocketAddress;
  readonly http: SocketAddress;
  /** The website's host name. */
  readonly host: string;
  /** Where a browser sees the website's node, and that of the proxies. */
  readonly dashboards: readonly string[];
  readonly #stack: AsyncDisposableStack;

  private constructor(
    service: Node,
    proxies: Node,
    dashboards: readonly string[],
    stack: AsyncDisposableStack,
  ) {
    const { socks, http } = proxies.proxies ?? {};
    const [site] = service.services;
    if (!socks || !http || !site) {
      throw new BugError("cli.demo", "A part of the demo has not been started");
    }
    this.socks = socks;
    this.http = http;
    this.host = site.host;
    this.dashboards = dashboards;
    this.#stack = stack;
  }

  /** Start all of it. */
  static async start(options: DemoOptions): Promise<DemoNetwork> {
    await using stack = new AsyncDisposableStack();
    const { log, tell, signal } = options;
    const runtime = await systemRuntime(log);
    const startedMs = runtime.clock.nowMs();
    const elapsed = () =>
      `${((runtime.clock.nowMs() - startedMs) / 1000).toFixed(1)} s`;
    const start = (name: string, roles: Partial<NodeOptions>) =>
      Node.start({
        state: `${options.directory}/${name}`,
        network: networkParameters("local"),
        bootstrap: [],
        control: "off",
        holder: `pid ${Deno.pid}`,
        signal,
        ...roles,
      }, { ...runtime, log: log.part(name) });

    tell(`Starting ${options.relays} relays on this machine ...`);
    const bootstrap = await startRelays(options.relays, start, stack);
    tell(`${elapsed()}: the relays know each other`);
    const urls: { service?: string; proxies?: string } = {};
    const dashboard = (name: keyof typeof urls): DashboardPlan => ({
      address: LOOPBACK,
      opens: "at once",
      tail: options.tail,
      onOpen: (url) => urls[name] = url,
    });
    const client = { client: { dialFrom: LOOPBACK, hops: 3 }, bootstrap };
    tell("Starting a website as a service, and the proxies ...");
    const [service, proxies] = await all([
      start("service", {
        ...client,
        services: [demoService(runtime)],
        control: "state",
        dashboard: dashboard("service"),
      }),
      start("proxy", {
        ...client,
        proxies: { socks: LOOPBACK, http: LOOPBACK },
        control: "state",
        dashboard: dashboard("proxies"),
      }),
    ], stack);
    if (service === undefined || proxies === undefined) {
      throw new BugError("cli.demo", "A part of the demo has not been started");
    }
    tell(`${elapsed()}: the website can be reached, and circuits can be built`);
    const dashboards = [urls.service, urls.proxies]
      .filter((url) => url !== undefined);
    return new DemoNetwork(service, proxies, dashboards, stack.move());
  }

  /** Stop all of it, the last part first. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

type Start = (name: string, roles: Partial<NodeOptions>) => Promise<Node>;

/** @returns Addresses to join by. */
async function startRelays(
  count: number,
  start: Start,
  stack: AsyncDisposableStack,
): Promise<NodeAddress[]> {
  const relay = { listen: LOOPBACK, advertise: [] };
  const [first] = await all([start("relay-1", { relay })], stack);
  const bootstrap = first?.address ? [first.address] : [];
  for (let number = 2; number <= count; number += AT_ONCE) {
    const numbers = Array.from(
      { length: Math.min(AT_ONCE, count + 1 - number) },
      (_, index) => number + index,
    );
    await all(
      numbers.map((n) => start(`relay-${n}`, { relay, bootstrap })),
      stack,
    );
  }
  return bootstrap;
}

/** Nodes that start together; if one cannot, the others are stopped with the stack. */
async function all(
  starting: readonly Promise<Node>[],
  stack: AsyncDisposableStack,
): Promise<Node[]> {
  const results = await Promise.allSettled(starting);
  for (const result of results) {
    if (result.status === "fulfilled") stack.use(result.value);
  }
  return results.map((result) => {
    if (result.status === "rejected") throw result.reason;
    return result.value;
  });
}

function demoService({ clock, log }: Runtime): ServiceDefinition {
  const handle = siteTarget(80, {
    clock,
    host: () => "demo.anon",
    handler: demoSite,
    onFault: (error) =>
      log.error("The demo's website failed", {
        error: thrown(error),
      }),
  });
  return {
    name: "demo",
    targets: new Map([[80, { type: "handler", handle }]]),
  };
}
