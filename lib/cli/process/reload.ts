/**
 * What of a configuration changes while a node runs: the limits of its relay, its
 * services, its log level. All else is told, and waits for a restart.
 *
 *     the same                      nothing is done, no stream notices
 *     a service more, or one less   started, or stopped as when the node stops
 *     anything else                 "takes a restart"
 *
 * @see protocol §9.2 "Start and stop"
 * @module
 */
import { type Log, thrown } from "../../log/log.ts";
import type { Node, NodeOptions } from "../../node/node.ts";
import type { ProcessLog } from "./process.ts";

/** What is compared. */
type Options =
  & Omit<NodeOptions, "signal" | "holder" | "onRelay" | "torControl">
  & { readonly torControl?: unknown; readonly workers?: number | undefined }
  & ProcessLog;

/** What of a node changes. */
interface ReloadedNode {
  readonly relay: Node["relay"];
  readonly client: {
    readonly services: Pick<
      NonNullable<Node["client"]>["services"],
      "named" | "start" | "stop"
    >;
  } | undefined;
}

/**
 * Make a node what its operator wants now, as far as that goes.
 *
 * @param before What it was told last, as far as it was done.
 * @returns What to give as `before` at the next reload: a service that did not start
 * is tried again then.
 * @throws {ConfigError} `node.limit`, and nothing has changed.
 */
export async function reloadNode<T extends Options>(
  node: ReloadedNode,
  before: Options,
  wanted: T,
  log: Log,
): Promise<T> {
  const changed: string[] = [];
  const limits = wanted.relay?.limits ?? {};
  if (node.relay && !isSame(before.relay?.limits ?? {}, limits)) {
    await node.relay.allowance.change(limits);
    changed.push("limits");
  }
  if (before.logLevel !== wanted.logLevel) changed.push("log level");
  const services = await reloadServices(node, before, wanted, log, changed);
  const later = [
    ...laterLimits(before, wanted),
    ...services.later,
    ...fixedOf(before, wanted),
  ];
  log.info("The configuration was reloaded", {
    changed: changed.length === 0 ? "nothing" : changed.join(", "),
  });
  if (later.length > 0) {
    log.warning("Some of the configuration takes a restart, and is as it was", {
      what: later.join(", "),
    });
  }
  const { failed } = services;
  if (failed.size === 0) return wanted;
  return {
    ...wanted,
    services: wanted.services?.filter(({ name }) => !failed.has(name)),
  };
}

/** What came of the services. */
interface ReloadedServices {
  /** Those that cannot be changed while they run, in words. */
  readonly later: readonly string[];
  /** Names of those that did not start. */
  readonly failed: ReadonlySet<string>;
}

/** Start and stop services. */
async function reloadServices(
  { client }: ReloadedNode,
  before: Options,
  wanted: Options,
  log: Log,
  changed: string[],
): Promise<ReloadedServices> {
  const old = new Map(before.services?.map((s) => [s.name, s]));
  const later: string[] = [];
  const failed = new Set<string>();
  for (const service of wanted.services ?? []) {
    const running = old.get(service.name);
    old.delete(service.name);
    const word = `service ${service.name}`;
    if (running !== undefined) {
      if (!isSame(running, service)) later.push(word);
    } else if (client === undefined) later.push(word);
    else {
      try {
        await client.services.start(service);
        changed.push(word);
      } catch (error) {
        failed.add(service.name);
        log.error(
          "Cannot start a service that the configuration has now; it is tried " +
            "again at the next reload",
          { name: service.name, error: thrown(error) },
        );
      }
    }
  }
  for (const name of old.keys()) {
    const running = client?.services.named(name);
    if (running === undefined) continue;
    changed.push(`service ${name}, stopped`);
    // Streams of it may take as long as --drain says to end.
    client?.services.stop(running).catch((error) =>
      log.error("Cannot stop a service", { name, error: thrown(error) })
    );
  }
  return { later, failed };
}

/** Limits that hold from a start on. */
function laterLimits(before: Options, wanted: Options): string[] {
  const [old, next] = [before.relay?.limits, wanted.relay?.limits];
  return [
    ...old?.maxCircuits === next?.maxCircuits ? [] : ["max-circuits"],
    ...old?.memory === next?.memory ? [] : ["memory"],
  ];
}

/** Names of what a node is made of at its start. */
function fixedOf(before: Options, wanted: Options): string[] {
  const parts = (
    {
      state,
      network,
      bootstrap,
      client,
      proxies,
      control,
      metrics,
      dashboard,
      drainMs,
      relay,
      torControl,
      workers,
    }: Options,
  ) => ({
    state,
    network,
    bootstrap,
    client,
    proxies,
    control,
    metrics,
    dashboard,
    drain: drainMs,
    torControl,
    relay: relay && { ...relay, limits: undefined },
    workers,
  });
  const [old, next] = [parts(before), parts(wanted)];
  return (Object.keys(old) as (keyof typeof old)[])
    .filter((name) => !isSame(old[name], next[name]));
}

/** Whether two values are made of the same. */
function isSame(a: unknown, b: unknown): boolean {
  return textOf(a) === textOf(b);
}

function textOf(value: unknown): string | undefined {
  return JSON.stringify(
    value,
    (_name, part) => part instanceof Map ? [...part] : part,
  );
}
