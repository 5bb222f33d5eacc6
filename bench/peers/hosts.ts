/**
 * Hosts of a network to be measured: network namespaces of this machine. Near, all
 * are in one of them, with a loopback of its own; far, each has its own, and a switch
 * between them holds each packet for a while.
 *
 * Near, routes acknowledge at once: a program that leaves Nagle's algorithm on, as Tor
 * does, would wait 40 ms for an acknowledgement at one hop after another, which no
 * network between machines would show like that.
 *
 * Needs root, `ip` (Debian: iproute2), and far `cc` (gcc).
 *
 * @module
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { pause } from "../network_load.ts";

const MTU = 65_536;

/** A process of a network, and what it is in it. */
export interface HostProcess {
  readonly role: "authority" | "relay" | "service" | "client" | "other";
  readonly pid: number;
  readonly log: string;
  /** Resolves when it has ended. */
  readonly ended: Promise<unknown>;
}

/** Some hosts, and all processes on them. */
export class Hosts implements AsyncDisposable {
  readonly #directory: string;
  readonly #spaces = new Map<string, { space: string; address: string }>();
  readonly #processes = new Set<HostProcess>();
  #started = 0;

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /**
   * Make hosts.
   *
   * @param directory For logs, and the switch.
   * @param farMs Time that a packet takes from one to another; 0: near.
   */
  static async make(
    directory: string,
    names: readonly string[],
    farMs: number,
  ): Promise<Hosts> {
    const hosts = new Hosts(directory);
    try {
      if (farMs === 0) await hosts.#makeNear(names);
      else await hosts.#makeFar(names, farMs);
      return hosts;
    } catch (error) {
      await hosts[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** IPv4 address of a host. */
  address(name: string): string {
    return this.#host(name).address;
  }

  /** A command on a host. */
  command(name: string, program: string, args: readonly string[]): string[] {
    const { space } = this.#host(name);
    return ["ip", "netns", "exec", space, program, ...args];
  }

  /** Start a program on a host; what it writes goes to a file. */
  start(
    name: string,
    role: HostProcess["role"],
    program: string,
    args: readonly string[],
  ): HostProcess {
    const log = join(this.#directory, `${name}-${this.#started++}.log`);
    const [first = "", ...rest] = this.command(name, "sh", [
      "-c",
      'log=$0; exec "$@" >"$log" 2>&1',
      log,
      program,
      ...args,
    ]);
    const child = new Deno.Command(first, {
      args: rest,
      stdin: "null",
      stdout: "null",
      stderr: "null",
    }).spawn();
    const process: HostProcess = {
      role,
      pid: child.pid,
      log,
      ended: child.status.then(() => this.#processes.delete(process)),
    };
    this.#processes.add(process);
    return process;
  }

  /** Those of these roles that run. */
  processes(...roles: readonly HostProcess["role"][]): HostProcess[] {
    return [...this.#processes].filter(({ role }) => roles.includes(role));
  }

  /** End one process. */
  async end(process: HostProcess): Promise<void> {
    signal(process, "SIGTERM");
    const isEnded = await Promise.race([
      process.ended.then(() => true),
      pause(5_000).then(() => false),
    ]);
    if (isEnded) return;
    signal(process, "SIGKILL");
    await process.ended;
  }

  /** End all processes, and take the hosts away. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#processes].map((one) => this.end(one)));
    const spaces = [...this.#spaces.values()].map(({ space }) => space);
    for (const space of new Set(spaces)) {
      await run("ip", ["netns", "del", space]).catch(() => {});
    }
  }

  async #makeNear(names: readonly string[]): Promise<void> {
    const space = `anb${Deno.pid}`;
    for (const name of names) {
      this.#spaces.set(name, { space, address: "127.0.0.1" });
    }
    await run("ip", ["netns", "add", space]);
    await run("ip", ["-n", space, "link", "set", "lo", "mtu", `${MTU}`, "up"]);
    for (const to of ["127.0.0.1", "127.0.0.0/8"]) {
      const route =
        `route replace local ${to} dev lo table local proto kernel ` +
        "scope host src 127.0.0.1 quickack 1 congctl cubic";
      await run("ip", ["-n", space, ...route.split(" ")]);
    }
  }

  async #makeFar(names: readonly string[], farMs: number): Promise<void> {
    const net = `10.${60 + Deno.pid % 100}.${Deno.pid % 250}`;
    for (const [index, name] of names.entries()) {
      const space = `anb${Deno.pid}-${index}`;
      this.#spaces.set(name, { space, address: `${net}.${index + 1}` });
      await run("ip", ["netns", "add", space]);
      await run("ip", ["-n", space, "link", "set", "lo", "up"]);
    }
    const program = join(this.#directory, "delay_switch");
    const source = fileURLToPath(new URL("./delay_switch.c", import.meta.url));
    await run("cc", ["-O2", "-o", program, source]);
    const hosts = [...this.#spaces.values()];
    const log = join(this.#directory, "switch.log");
    const child = new Deno.Command("sh", {
      args: [
        "-c",
        'log=$0; exec "$@" >"$log" 2>&1',
        log,
        program,
        `${farMs * 1000}`,
        ...hosts.map(({ space, address }) => `${space}=${address}`),
      ],
    }).spawn();
    const process: HostProcess = {
      role: "other",
      pid: child.pid,
      log,
      ended: child.status.then(() => this.#processes.delete(process)),
    };
    this.#processes.add(process);
    await lineOf(process, (line) => line === "ready" ? line : undefined, 10);
    for (const { space, address } of hosts) {
      const ip = (words: string) =>
        run("ip", ["-n", space, ...words.split(" ")]);
      await ip(`addr add ${address}/24 dev far0`);
      await ip("link set far0 txqueuelen 10000 up");
      await ip(
        `route replace ${net}.0/24 dev far0 proto kernel scope link ` +
          `src ${address} congctl cubic`,
      );
    }
  }

  #host(name: string): { space: string; address: string } {
    const host = this.#spaces.get(name);
    if (host === undefined) throw new TypeError(`No host is called ${name}`);
    return host;
  }
}

/** What a line of a process's log says, once there is one that says it. */
export async function lineOf<T>(
  { log, ended }: HostProcess,
  read: (line: string) => T | undefined,
  seconds: number,
): Promise<T> {
  let isEnded = false;
  ended.then(() => isEnded = true);
  for (let waited = 0; waited < seconds * 50 && !isEnded; waited++) {
    const text = await Deno.readTextFile(log).catch(() => "");
    for (const line of text.split("\n").slice(0, -1)) {
      const found = read(line);
      if (found !== undefined) return found;
    }
    await pause(20);
  }
  const end = (await Deno.readTextFile(log).catch(() => "")).slice(-500);
  throw new Error(
    `A process was not ready in ${seconds} s; its log ends: ${end}`,
  );
}

/** Run a program to its end, and give what it wrote. */
export async function run(
  program: string,
  args: readonly string[],
): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command(program, {
    args: [...args],
    stdin: "null",
  }).output();
  const text = new TextDecoder();
  if (!success) {
    throw new Error(`${program} ${args[0]} failed: ${text.decode(stderr)}`);
  }
  return text.decode(stdout);
}

function signal({ pid }: HostProcess, name: Deno.Signal): void {
  try {
    Deno.kill(pid, name);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
