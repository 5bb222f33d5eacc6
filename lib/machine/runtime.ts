/**
 * What a node stands on. The process gives it the machine; a simulation gives it
 * a clock that jumps, seeded randomness and a network in memory.
 *
 * @module
 */
import type { RecordVerifier } from "../auth/record_verifier.ts";
import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import { selectSuite } from "../crypto/select.ts";
import type { CryptoSuite } from "../crypto/suite.ts";
import { DenoFiles } from "../storage/deno_files.ts";
import type { Files } from "../storage/files.ts";
import type { EndpointOptions } from "../transport/endpoint_options.ts";
import { type LanSocket, openLanSocket } from "../transport/lan_socket.ts";
import { openQuicEndpoint } from "../transport/quic_endpoint.ts";
import type { Endpoint } from "../transport/transport.ts";
import type { Log } from "../log/log.ts";
import { SystemClock } from "./system_clock.ts";
import { systemRandom } from "./system_random.ts";

/** Time, chance, cryptography, disk, network and log. */
export interface Runtime {
  readonly clock: Clock;
  readonly random: Random;
  readonly crypto: CryptoSuite;
  readonly files: Files;
  readonly log: Log;
  /**
   * Remembers which records were right; nodes of one simulation share it, as the
   * same bytes are right for all of them. Default: each node has its own.
   */
  readonly verifier?: RecordVerifier;
  /**
   * Addresses of this machine that lead out of it, as texts in any order; when they
   * change, it is on another network. `undefined` where that cannot be known.
   */
  readonly localAddresses?: () => readonly string[] | undefined;
  /** Multicast on the networks that the machine is in. Default: there is none. */
  readonly lan?: LanMachine;
  /** Memory that the process takes, bytes. `undefined` where that cannot be known. */
  readonly memoryBytes?: () => number;
  /**
   * Open the node's place on the network.
   *
   * @throws {ConfigError} when the address cannot be used; the message says why.
   */
  openEndpoint(options: EndpointOptions): Promise<Endpoint>;
}

/** What a machine has of LANs. */
export interface LanMachine {
  /** Its IPv4 addresses that lead out of it, with their subnets; none where that cannot be known. */
  places(): readonly LanAddress[];
  /** @throws {ConfigError} `transport.lan`. */
  open(hosts: readonly string[]): Promise<LanSocket>;
}

/** An IPv4 address of this machine. */
interface LanAddress {
  readonly host: string;
  /** Leading bits of its subnet. */
  readonly bits: number;
}

/** The machine itself: its clocks, its disk, and QUIC. */
export async function systemRuntime(log: Log): Promise<Runtime> {
  const crypto = await selectSuite({
    onFallback: (primitive, reason) =>
      log.warning("The platform's cryptography failed its test; using slower", {
        primitive,
        error: reason instanceof Error ? reason : String(reason),
      }),
  });
  return {
    clock: new SystemClock(),
    random: systemRandom,
    crypto,
    files: new DenoFiles(),
    log,
    localAddresses,
    lan: { places: lanPlaces, open: openLanSocket },
    memoryBytes: () => Deno.memoryUsage().rss,
    openEndpoint: openQuicEndpoint,
  };
}

/** The operator is never asked for leave that was not given at the start. */
function interfaces(): Deno.NetworkInterfaceInfo[] | undefined {
  const leave = { name: "sys", kind: "networkInterfaces" } as const;
  if (Deno.permissions.querySync(leave).state !== "granted") return undefined;
  return Deno.networkInterfaces();
}

function localAddresses(): string[] | undefined {
  return interfaces()?.map(({ address }) => address)
    .filter((address) => !isLocal(address));
}

function lanPlaces(): LanAddress[] {
  return (interfaces() ?? [])
    .filter(({ family, address }) => family === "IPv4" && !isLocal(address))
    .map(({ address, cidr }) => ({
      host: address,
      bits: Number(cidr?.split("/")[1] ?? 32),
    }));
}

/** Whether an address leads nowhere: loopback, or one that comes and goes with a cable. */
function isLocal(address: string): boolean {
  return address === "::1" || /^(127\.|169\.254\.|fe80:)/i.test(address);
}
