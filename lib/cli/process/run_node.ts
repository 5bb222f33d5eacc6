/**
 * A node as a process: it starts, prints its ready line, and runs until told to
 * stop.
 *
 * @see protocol §9.2 "Start and stop"
 * @module
 */
import { Node, type NodeOptions } from "../../node/node.ts";
import type { DashboardPlan } from "../../node/node_dashboard.ts";
import type { TorControlPlan } from "../../node/node_tor_control.ts";
import type { ReadyRelay } from "../../node/relay_role.ts";
import { systemRuntime } from "../../machine/runtime.ts";
import type { ExitCode, Program } from "../flags/command.ts";
import { type ProcessLog, runProcess } from "./process.ts";
import { PROGRAM_VERSION } from "./program_version.ts";
import { reloadNode } from "./reload.ts";
import {
  formatDashboardText,
  formatReadyLine,
  formatReadyText,
  formatRelayText,
} from "./ready.ts";

/** What a process needs to know beside its node. */
export interface RunOptions extends
  Omit<
    NodeOptions,
    "signal" | "holder" | "onRelay" | "dashboard" | "version" | "torControl"
  >,
  ProcessLog {
  readonly readyAs: "text" | "json";
  /** Relays to be, each in a thread of its own. Default: 1, in the process's own. */
  readonly workers?: number | undefined;
  /** What the operator says now. Default: there is no file to read it from. */
  readonly reread?: (() => Promise<RunOptions>) | undefined;
  /** Tor's control port. Default: none. */
  readonly torControl?: Omit<TorControlPlan, "wishes" | "tail"> | undefined;
  /** Where the dashboard is once it is open, and whether that is from the start. Default: none. */
  readonly dashboard?: Pick<DashboardPlan, "address" | "opens"> | undefined;
}

/** Run a node until the operator asks it to stop. */
export async function runNode(
  program: Program,
  options: RunOptions,
): Promise<ExitCode> {
  const { terminal } = program;
  const { reread } = options;
  let current = options;
  return await runProcess<Node>(program, options, {
    ...options.drainMs === undefined ? {} : { drainMs: options.drainMs },
    async start(log, signal, tail, wishes) {
      const holder = `pid ${Deno.pid}`;
      const runtime = await systemRuntime(log);
      const onRelay = (relay: ReadyRelay) => {
        if (options.readyAs === "json") return;
        for (const line of formatRelayText(relay)) terminal.print(line);
      };
      const version = PROGRAM_VERSION;
      const dashboard = options.dashboard && {
        ...options.dashboard,
        tail,
        onOpen(url: string) {
          if (options.readyAs === "json") return;
          for (const line of formatDashboardText(url)) terminal.print(line);
        },
      };
      const torControl = options.torControl &&
        { ...options.torControl, tail, wishes };
      return await Node.start(
        { ...options, holder, signal, version, onRelay, dashboard, torControl },
        runtime,
      );
    },
    ...reread && {
      async reload(node, output) {
        const wanted = await reread();
        output.setLevel(wanted.logLevel);
        current = await reloadNode(node, current, wanted, output.log);
      },
    },
    async use(node, stopped) {
      if (options.readyAs === "json") terminal.print(formatReadyLine(node));
      else for (const line of formatReadyText(node)) terminal.print(line);
      await stopped;
      return 0;
    },
  });
}
