/**
 * What is measured of a network, by curl through the SOCKS5 proxy of its client, as a
 * user would have it. Processor time is that of all nodes of the network, neither of
 * the web server nor of the switch.
 *
 * @module
 */
import { pause } from "../network_load.ts";
import { cpuSeconds, residentMiB, total } from "../process_facts.ts";
import { type PeerNetwork, SOCKS_PORT } from "./peer_network.ts";

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;
const NODES = ["authority", "relay", "service", "client"] as const;

/** Sizes of one measurement. */
export interface Load {
  /** Of one stream, MiB. */
  readonly oneMiB: number;
  /** Of each of several streams, MiB. */
  readonly eachMiB: number;
  readonly streams: number;
  /** Downloads of one stream, of which the median counts. */
  readonly runs: number;
  /** Requests of one byte. */
  readonly small: number;
}

/** Figures by their names in the table. */
export type Figures = Readonly<Record<string, number>>;

/** Measure everything once. @param isFar Whether hosts are far from each other. */
export async function measure(
  network: PeerNetwork,
  load: Load,
  isFar: boolean,
): Promise<Figures> {
  const { oneMiB, eachMiB, streams, runs, small } = load;
  const figures: Record<string, number> = {};
  // The path is there, and has carried something, before anything counts.
  await download(network, MIB, "");
  const firsts = await firstBytes(network, small);
  figures["first byte, ms"] = median(firsts);
  figures["first byte, 95 %, ms"] = quantile(firsts, 0.95);
  const ones: Transfer[] = [];
  for (let n = 0; n < runs; n++) {
    ones.push(await transfer(network, oneMiB * MIB, [""]));
  }
  figures["one stream, MiB/s"] = median(ones.map(({ speed }) => speed));
  figures["one stream, s of processor per GiB"] = median(
    ones.map(({ costs }) => costs),
  );
  const same = await transfer(
    network,
    eachMiB * MIB,
    new Array<string>(streams).fill(""),
  );
  figures["8 streams of one user, MiB/s"] = same.speed;
  const users = Array.from({ length: streams }, (_, n) => `user${n}`);
  await Promise.all(users.map((user) => download(network, MIB, user)));
  const others = await transfer(network, eachMiB * MIB, users);
  figures["8 users, MiB/s"] = others.speed;
  figures["8 users, s of processor per GiB"] = others.costs;
  const stop = new AbortController();
  const bulk = download(network, 1024 * MIB, "", stop.signal).catch(() => {});
  await pause(3_000);
  const beside = await firstBytes(network, Math.ceil(small / 2));
  figures["first byte beside a download, ms"] = median(beside);
  stop.abort();
  await bulk;
  const { hosts } = network;
  for (const role of ["client", "service"] as const) {
    const pids = hosts.processes(role).map(({ pid }) => pid);
    figures[`${role}, MiB resident after load`] = total(
      await residentMiB(pids),
    );
  }
  if (isFar) {
    figures["start of a client, ms"] = await network.restartClient();
    figures["first byte of a new client, ms"] = await firstByte(network, "");
  }
  return figures;
}

interface Transfer {
  /** MiB/s, of all streams together. */
  readonly speed: number;
  /** Processor time per GiB, s. */
  readonly costs: number;
}

/** Download so much by one stream for each user name at once; an empty one is none. */
async function transfer(
  network: PeerNetwork,
  bytes: number,
  users: readonly string[],
): Promise<Transfer> {
  const pids = network.hosts.processes(...NODES).map(({ pid }) => pid);
  const before = total(await cpuSeconds(pids));
  const beganMs = performance.now();
  await Promise.all(users.map((user) => download(network, bytes, user)));
  const seconds = (performance.now() - beganMs) / 1000;
  const spent = total(await cpuSeconds(pids)) - before;
  const all = bytes * users.length;
  return { speed: all / MIB / seconds, costs: spent / (all / GIB) };
}

async function firstBytes(
  network: PeerNetwork,
  count: number,
): Promise<number[]> {
  const times: number[] = [];
  for (let n = 0; n < count; n++) {
    times.push(await firstByte(network, ""));
    await pause(250);
  }
  return times;
}

/** Time to the first byte of a new stream, ms. */
async function firstByte(network: PeerNetwork, user: string): Promise<number> {
  const said = await curl(network, 1, user, "%{time_starttransfer}");
  return Number(said) * 1000;
}

async function download(
  network: PeerNetwork,
  bytes: number,
  user: string,
  signal?: AbortSignal,
): Promise<void> {
  const said = await curl(network, bytes, user, "%{size_download}", signal);
  if (Number(said) !== bytes) {
    throw new Error(`${network.name} brought ${said} of ${bytes} bytes`);
  }
}

/** @returns What curl says as `format` has it. */
async function curl(
  { hosts, target }: PeerNetwork,
  bytes: number,
  user: string,
  format: string,
  signal?: AbortSignal,
): Promise<string> {
  const [program = "", ...args] = hosts.command("client", "curl", [
    ...["--silent", "--fail", "--max-time", "600"],
    ...["--output", "/dev/null", "--write-out", format],
    ...["--socks5-hostname", `127.0.0.1:${SOCKS_PORT}`],
    ...user === "" ? [] : ["--proxy-user", `${user}:x`],
    `http://${target}/${bytes}`,
  ]);
  const { code, stdout } = await new Deno.Command(program, {
    args,
    stdin: "null",
    stderr: "null",
    ...signal && { signal },
  }).output();
  if (code !== 0) throw new Error(`curl ended with ${code}`);
  return new TextDecoder().decode(stdout);
}

/** The middle of some figures. */
export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const at = share * (sorted.length - 1);
  const [low, high] = [sorted[Math.floor(at)], sorted[Math.ceil(at)]];
  if (low === undefined || high === undefined) return NaN;
  return low + (high - low) * (at - Math.floor(at));
}
