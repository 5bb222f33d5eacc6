/**
 * A network of this program's processes, to be measured beside others.
 *
 * @module
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { type HostProcess, Hosts, lineOf, run } from "./hosts.ts";
import {
  ORIGIN_PORT,
  type PeerNetwork,
  RELAYS,
  SOCKS_PORT,
  startOrigin,
  waitForService,
} from "./peer_network.ts";

const PROJECT = fileURLToPath(new URL("../..", import.meta.url));
const READY_SECONDS = 90;

/** Start one. @param farMs Time from one host to another, ms. */
export async function startAnonnet(
  directory: string,
  farMs: number,
): Promise<PeerNetwork> {
  const relays = Array.from({ length: RELAYS }, (_, n) => `relay${n}`);
  const hosts = await Hosts.make(
    directory,
    [...relays, "service", "client"],
    farMs,
  );
  try {
    await startOrigin(hosts);
    const bootstrap: string[] = [];
    for (const [index, name] of relays.entries()) {
      const listen = `${hosts.address(name)}:${17_000 + index}`;
      const relay = node(hosts, directory, name, "relay", [
        "relay",
        "--listen",
        listen,
        ...bootstrap,
      ]);
      const { address } = await readyOf(relay);
      if (index < 3) bootstrap.push("--bootstrap", String(address));
    }
    const service = node(hosts, directory, "service", "service", [
      "serve",
      `80=127.0.0.1:${ORIGIN_PORT}`,
      ...bootstrap,
    ]);
    const { services } = await readyOf(service);
    const [{ host = "" } = {}] = services as { host?: string }[];
    const startClient = async (number: number) => {
      const beganMs = performance.now();
      const client = node(hosts, directory, "client", "client", [
        "proxy",
        "--socks",
        `127.0.0.1:${SOCKS_PORT}`,
        "--http",
        `127.0.0.1:${SOCKS_PORT + 1}`,
        ...bootstrap,
      ], `client-state-${number}`);
      await readyOf(client);
      return performance.now() - beganMs;
    };
    let starts = 0;
    await startClient(starts++);
    const network: PeerNetwork = {
      name: "anonnet",
      version: (await run(Deno.execPath(), program(["version", "--json"])))
        .trim(),
      hosts,
      target: `${host}:80`,
      async restartClient() {
        for (const client of hosts.processes("client")) await hosts.end(client);
        return await startClient(starts++);
      },
      [Symbol.asyncDispose]: () => hosts[Symbol.asyncDispose](),
    };
    await waitForService(network, READY_SECONDS);
    return network;
  } catch (error) {
    await hosts[Symbol.asyncDispose]();
    throw error;
  }
}

function node(
  hosts: Hosts,
  directory: string,
  name: string,
  role: HostProcess["role"],
  args: readonly string[],
  state = `${name}-state`,
): HostProcess {
  return hosts.start(
    name,
    role,
    Deno.execPath(),
    program([
      ...args,
      "--state",
      join(directory, state),
      "--network",
      "local",
      "--ready-json",
    ]),
  );
}

function program(args: readonly string[]): string[] {
  return [
    "run",
    "--quiet",
    "--no-prompt",
    // As all starters of the project have it.
    "--v8-flags=--max-semi-space-size=4",
    "--config",
    join(PROJECT, "deno.json"),
    "-P",
    join(PROJECT, "main.ts"),
    ...args,
  ];
}

function readyOf(process: HostProcess): Promise<Record<string, unknown>> {
  return lineOf(process, (line) => {
    if (!line.startsWith("{")) return undefined;
    const said = JSON.parse(line);
    return said.event === "ready" ? said : undefined;
  }, READY_SECONDS);
}
