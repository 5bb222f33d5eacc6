/**
 * What the measured networks have in common: a service in front of a web server, and a
 * client with a SOCKS5 proxy, with six relays between the two.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { pause } from "../network_load.ts";
import { type Hosts, run } from "./hosts.ts";

/** Relays of each network: a path to a service takes six of them. */
export const RELAYS = 8;
/** Where the web server listens, at the service's host. */
export const ORIGIN_PORT = 18_080;
/** Where the client's proxy listens, at its host. */
export const SOCKS_PORT = 18_081;

/** A network that runs. */
export interface PeerNetwork extends AsyncDisposable {
  readonly name: "anonnet" | "tor";
  readonly version: string;
  readonly hosts: Hosts;
  /** Host and port of the service. */
  readonly target: string;
  /**
   * Start the client anew, without what it remembered.
   *
   * @returns How long it took until it said that it is ready, ms.
   */
  restartClient(): Promise<number>;
}

/** Start the web server. */
export async function startOrigin(hosts: Hosts): Promise<void> {
  const script = fileURLToPath(new URL("./origin.ts", import.meta.url));
  hosts.start("service", "other", Deno.execPath(), [
    "run",
    "--quiet",
    "--no-prompt",
    "--allow-net",
    script,
    `${ORIGIN_PORT}`,
  ]);
  const [program = "", ...args] = hosts.command("service", "curl", [
    "-sf",
    `http://127.0.0.1:${ORIGIN_PORT}/1`,
  ]);
  for (let tries = 0; tries < 100; tries++) {
    if (await run(program, args).catch(() => "") === "a") return;
    await pause(100);
  }
  throw new Error("The web server does not answer");
}

/** Wait until the client gets a byte of the service. */
export async function waitForService(
  { hosts, target }: Pick<PeerNetwork, "hosts" | "target">,
  seconds: number,
): Promise<void> {
  const [program = "", ...args] = hosts.command("client", "curl", [
    "-sf",
    "--max-time",
    "20",
    "--socks5-hostname",
    `127.0.0.1:${SOCKS_PORT}`,
    `http://${target}/1`,
  ]);
  const endMs = performance.now() + seconds * 1000;
  while (performance.now() < endMs) {
    if (await run(program, args).catch(() => "") === "a") return;
    await pause(300);
  }
  throw new Error(`The service cannot be reached after ${seconds} s`);
}
