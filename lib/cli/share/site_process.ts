/**
 * A site of ours as a process: a node, the site on it, its address printed, until the
 * operator asks it to stop or the site is done.
 *
 *     node ─▶ site ─▶ service, reachable ─▶ link ── stop, done ──▶ drain
 *
 * @see protocol §9.2 "Start and stop"
 * @module
 */
import { siteTarget } from "../../http/site.ts";
import type { SiteHandler } from "../../http/site_answer.ts";
import { type Log, thrown } from "../../log/log.ts";
import { type Runtime, systemRuntime } from "../../machine/runtime.ts";
import type { ServiceDefinition } from "../../node/host/node_services.ts";
import { Node } from "../../node/node.ts";
import type { ExitCode, Program } from "../flags/command.ts";
import { qrLines } from "../network/qr.ts";
import { runProcess } from "../process/process.ts";
import { PROGRAM_VERSION } from "../process/program_version.ts";
import { formatDashboardText, formatReadyLine } from "../process/ready.ts";
import type { RunOptions } from "../process/run_node.ts";

/** The virtual port of a site. */
const PORT = 80;

/** A site, ready to be served. It is disposed of once no visitor is left. */
export interface OpenSite extends AsyncDisposable {
  readonly handle: SiteHandler;
  /** What stands behind the address: the path, with its secret. */
  readonly path: string;
  /** Resolves when the site wants to end. */
  readonly done: Promise<void>;
  /** Lines for a person, below the link. */
  readonly words: readonly string[];
}

/** What a site is opened with. */
export interface SiteGround {
  readonly node: Node;
  readonly runtime: Runtime;
  readonly log: Log;
  /** Aborts when asked to stop. */
  readonly signal: AbortSignal;
}

/** What runs. */
export interface SiteProcess {
  readonly options: RunOptions;
  /** What to call the service on this machine. */
  readonly name: string;
  /** Whether to print the link as a QR code too. */
  readonly qr: boolean;
  /** Streams that one session of a visitor may have. Default: as every service. */
  readonly maxStreams?: number;
  open(ground: SiteGround): Promise<OpenSite>;
}

/** A site that visitors can reach. */
class RunningSite implements AsyncDisposable {
  readonly node: Node;
  readonly site: OpenSite;
  readonly host: string;

  constructor(node: Node, site: OpenSite, host: string) {
    this.node = node;
    this.site = site;
    this.host = host;
  }

  get link(): string {
    return `http://${this.host}${this.site.path}`;
  }

  /** Visitors first: what they download or send may come to its end. */
  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.node.drain();
      await this.site[Symbol.asyncDispose]();
    } finally {
      await this.node[Symbol.asyncDispose]();
    }
  }
}

/** Run a site until it is done, or until the operator asks it to stop. */
export async function runSite(
  program: Program,
  { options, name, qr, maxStreams, open }: SiteProcess,
): Promise<ExitCode> {
  const { terminal } = program;
  const { drainMs } = options;
  return await runProcess<RunningSite>(program, options, {
    ...drainMs === undefined ? {} : { drainMs },
    async start(log, signal, tail, wishes) {
      const runtime = await systemRuntime(log);
      const dashboard = options.dashboard && {
        ...options.dashboard,
        tail,
        onOpen(url: string) {
          for (const line of formatDashboardText(url)) terminal.tell(line);
        },
      };
      await using stack = new AsyncDisposableStack();
      const node = stack.use(
        await Node.start({
          ...options,
          holder: `pid ${Deno.pid}`,
          signal,
          version: PROGRAM_VERSION,
          dashboard,
          torControl: options.torControl &&
            { ...options.torControl, tail, wishes },
        }, runtime),
      );
      const site = stack.use(await open({ node, runtime, log, signal }));
      const ground = { node, runtime, log, signal };
      const host = await serve(site, { name, maxStreams }, ground);
      stack.move();
      return new RunningSite(node, site, host);
    },
    async use(running, stopped) {
      const { node, site, host, link } = running;
      if (options.readyAs === "json") {
        const services = [{ name, host, ports: [PORT] }];
        terminal.print(formatReadyLine(node, { services, link }));
      } else {
        terminal.print("");
        terminal.print(`    ${link}`);
        terminal.print("");
        if (qr) { for (const line of qrLines(link)) terminal.print(line); }
        for (const line of site.words) terminal.print(line);
      }
      await Promise.race([stopped, site.done]);
      terminal.show("");
      return 0;
    },
  });
}

/** @returns The host name, once visitors can reach it. */
async function serve(
  site: OpenSite,
  service: Pick<ServiceDefinition, "name" | "maxStreams">,
  { node, runtime, log, signal }: SiteGround,
): Promise<string> {
  const { client } = node;
  if (client === undefined) throw new TypeError("A site needs a client");
  let host = "service.anon";
  const handle = siteTarget(PORT, {
    clock: runtime.clock,
    host: () => host,
    handler: site.handle,
    onFault: (error) =>
      log.part("site").error("An answer to a visitor failed", {
        error: thrown(error),
      }),
  });
  const hosted = await client.services.start({
    ...service,
    targets: new Map([[PORT, { type: "handler", handle }]]),
  });
  host = hosted.host;
  await client.services.reachable(hosted, { signal });
  return host;
}
