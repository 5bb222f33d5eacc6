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
type Options = Omit<NodeOptions, "signal" | "holder" | "onRelay"> & ProcessLog;

/**
 * Make a node what its operator wants now, as far as that goes.
 *
 * @param before What it was told last.
 * @throws {ConfigError} `node.limit`, and nothing has changed.
 */
export async function reloadNode(
  node: Pick<Node, "relay" | "client">,
  before: Options,
  wanted: Options,
  log: Log,
): Promise<void> {
  const changed: string[] = [];
  const limits = wanted.relay?.limits ?? {};
  if (node.relay && !isSame(before.relay?.limits ?? {}, limits)) {
    await node.relay.allowance.change(limits);
    changed.push("limits");
  }
  if (before.logLevel !== wanted.logLevel) changed.push("log level");
  const later = [
    ...laterLimits(before, wanted),
    ...await reloadServices(node, before, wanted, log, changed),
    ...fixedOf(before, wanted),
  ];
  log.info("The configuration was reloaded", {
    changed: changed.length === 0 ? "nothing" : changed.join(", "),
  });
  if (later.length === 0) return;
  log.warning("Some of the configuration takes a restart, and is as it was", {
    what: later.join(", "),
  });
}

/** Start and stop services. @returns Those that cannot be changed while they run. */
async function reloadServices(
  { client }: Pick<Node, "client">,
  before: Options,
  wanted: Options,
  log: Log,
  changed: string[],
): Promise<string[]> {
  const old = new Map(before.services?.map((s) => [s.name, s]));
  const later: string[] = [];
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
        log.error("Cannot start a service that the configuration has now", {
          name: service.name,
          error: thrown(error),
        });
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
  return later;
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
    relay: relay && { ...relay, limits: undefined },
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
