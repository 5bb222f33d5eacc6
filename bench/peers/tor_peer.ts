/**
 * A private Tor network with one onion service and one client, as Debian ships Tor,
 * and with the parameters that the authorities of the public network vote for speed.
 *
 * Limits that count circuits per address are left at their defaults, which are off:
 * here all nodes may have one address.
 *
 * @see {@link https://spec.torproject.org/param-spec.html | Tor's network parameters}
 * @module
 */
import { join } from "node:path";
import { type HostProcess, Hosts, lineOf, run } from "./hosts.ts";
import { pause } from "../network_load.ts";
import {
  ORIGIN_PORT,
  type PeerNetwork,
  RELAYS,
  SOCKS_PORT,
  startOrigin,
  waitForService,
} from "./peer_network.ts";

const AUTHORITIES = 3;
const PORT = 21_000;
const READY_SECONDS = 180;
/** Grid of the first votes, s. */
const VOTES_SECONDS = 20;

/** Speed of the public network: scheduler and congestion control. */
const PARAMETERS = [
  "CircuitPriorityHalflifeMsec=30000",
  "KISTSchedRunInterval=3",
  "cc_alg=2",
  "cc_sendme_inc=31",
  "cc_cwnd_full_gap=4",
  "cc_cwnd_full_minpct=25",
  "cc_cwnd_inc=1",
  "cc_cwnd_inc_rate=31",
  "cc_cwnd_min=124",
  "cc_sscap_exit=600",
  "cc_sscap_onion=475",
  "cc_vegas_alpha_exit=186",
  "cc_vegas_beta_onion=372",
  "cc_vegas_delta_exit=310",
  "cc_vegas_delta_onion=434",
  "cc_vegas_gamma_onion=248",
  "circ_max_cell_queue_size=1250",
  "circ_max_cell_queue_size_out=1000",
  "guard-n-primary-dir-guards-to-use=2",
  "guard-n-primary-guards-to-use=2",
  "hs_service_max_rdv_failures=1",
];

interface TorNode {
  readonly name: string;
  readonly role: HostProcess["role"];
  readonly home: string;
  readonly port: number;
}

/** Whether Tor is on this machine. */
export async function hasTor(): Promise<boolean> {
  return await run("tor", ["--version"]).then(() => true, () => false);
}

/** Start one. @param farMs Time from one host to another, ms. */
export async function startTor(
  directory: string,
  farMs: number,
): Promise<PeerNetwork> {
  const nodes = [
    ...numbered("authority", AUTHORITIES),
    ...numbered("relay", RELAYS),
    ...(["service", "client"] as const).map((role) => ({ name: role, role })),
  ].map((node, index): TorNode => ({
    ...node,
    home: join(directory, node.name),
    port: PORT + 2 * index,
  }));
  const hosts = await Hosts.make(
    directory,
    nodes.map(({ name }) => name),
    farMs,
  );
  try {
    const common = await makeKeys(directory, hosts, nodes);
    await startOrigin(hosts);
    for (const node of nodes) {
      await Deno.mkdir(node.home, { recursive: true, mode: 0o700 });
      const lines = [...common, ...linesOf(node, hosts, directory)];
      await Deno.writeTextFile(
        join(node.home, "torrc"),
        `${lines.join("\n")}\n`,
      );
    }
    // Just behind a point of the grid, so that all relays are in the first vote.
    while (Date.now() / 1000 % VOTES_SECONDS > 2) await pause(100);
    const started = nodes.filter(({ role }) => role !== "client")
      .filter(({ role }) => role !== "service")
      .map((node) => startNode(hosts, node));
    await Promise.all(started.map(bootstrapped));
    const last = (role: string) =>
      nodes.find((node) => node.role === role) as TorNode;
    await bootstrapped(startNode(hosts, last("service")));
    const startClient = async () => {
      const beganMs = performance.now();
      await bootstrapped(startNode(hosts, last("client")));
      return performance.now() - beganMs;
    };
    await startClient();
    const name = await Deno.readTextFile(
      join(last("service").home, "onion", "hostname"),
    );
    const network: PeerNetwork = {
      name: "tor",
      version: (await run("tor", ["--version"])).split("\n")[0] ?? "",
      hosts,
      target: `${name.trim()}:80`,
      async restartClient() {
        for (const client of hosts.processes("client")) await hosts.end(client);
        const { home } = last("client");
        const torrc = await Deno.readTextFile(join(home, "torrc"));
        await Deno.remove(home, { recursive: true });
        await Deno.mkdir(home, { mode: 0o700 });
        await Deno.writeTextFile(join(home, "torrc"), torrc);
        return await startClient();
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

function numbered(
  role: "authority" | "relay",
  count: number,
): { name: string; role: "authority" | "relay" }[] {
  return Array.from({ length: count }, (_, n) => ({
    name: `${role}${n}`,
    role,
  }));
}

/** Keys of all that have some, and what each configuration says of the authorities. */
async function makeKeys(
  directory: string,
  hosts: Hosts,
  nodes: readonly TorNode[],
): Promise<string[]> {
  const measured = [`${Math.floor(Date.now() / 1000)}`];
  const authorities: string[] = [];
  for (const { name, role, home, port } of nodes) {
    if (role !== "authority" && role !== "relay") continue;
    const keys = join(home, "keys");
    await Deno.mkdir(keys, { recursive: true, mode: 0o700 });
    await Deno.chmod(home, 0o700);
    const address = hosts.address(name);
    if (role === "authority") {
      const password = join(directory, "password");
      await Deno.writeTextFile(password, "private network\n");
      await run("sh", [
        "-c",
        'exec tor-gencert --create-identity-key --passphrase-fd 0 -m 12 -a "$1" ' +
        '-i "$2/authority_identity_key" -s "$2/authority_signing_key" ' +
        '-c "$2/authority_certificate" <"$3"',
        "sh",
        `${address}:${port + 1}`,
        keys,
        password,
      ]);
    }
    const none = join(directory, "none");
    await run("tor", [
      "--ignore-missing-torrc",
      ...["-f", none, "--defaults-torrc", none],
      ...["--DataDirectory", home, "--ORPort", "1", "--Nickname", name],
      "--DirAuthority",
      `x 127.0.0.1:1 ${"f".repeat(40)}`,
      "--list-fingerprint",
      "--quiet",
    ]);
    const words = await Deno.readTextFile(join(home, "fingerprint"));
    const fingerprint = words.trim().split(" ")[1] ?? "";
    // As good as each other: paths are drawn evenly.
    measured.push(`node_id=$${fingerprint} bw=100000 nick=${name}`);
    if (role !== "authority") continue;
    const certificate = await Deno.readTextFile(
      join(keys, "authority_certificate"),
    );
    const identity = /^fingerprint (\w+)$/m.exec(certificate)?.[1] ?? "";
    authorities.push(
      `DirAuthority ${name} orport=${port} no-v2 v3ident=${identity} ` +
        `${address}:${port + 1} ${fingerprint}`,
    );
  }
  await Deno.writeTextFile(
    join(directory, "bandwidths"),
    `${measured.join("\n")}\n`,
  );
  return [
    "TestingTorNetwork 1",
    "ShutdownWaitLength 0",
    "AvoidDiskWrites 0",
    "BandwidthRate 2000 MBytes",
    "BandwidthBurst 2000 MBytes",
    "MaxAdvertisedBandwidth 2000 MBytes",
    // No name is looked up, and there is no exit.
    "ServerDNSResolvConfFile /dev/null",
    "ServerDNSDetectHijacking 0",
    "ServerDNSTestAddresses",
    "ServerDNSAllowBrokenConfig 1",
    `TestingV3AuthInitialVotingInterval ${VOTES_SECONDS}`,
    "TestingV3AuthInitialVoteDelay 4",
    "TestingV3AuthInitialDistDelay 4",
    "V3AuthVotingInterval 300",
    "V3AuthVoteDelay 10",
    "V3AuthDistDelay 10",
    ...authorities,
  ];
}

function linesOf(
  { name, role, home, port }: TorNode,
  hosts: Hosts,
  directory: string,
): string[] {
  const own = [
    `DataDirectory ${home}`,
    `Nickname ${name}`,
    "Log notice stdout",
  ];
  const address = hosts.address(name);
  const relay = [
    `Address ${address}`,
    `OutboundBindAddress ${address}`,
    `ORPort ${address}:${port}`,
    "AssumeReachable 1",
    "AddressDisableIPv6 1",
    "ExitRelay 0",
    "ExitPolicy reject *:*",
    "ContactInfo private network",
    "SocksPort 0",
  ];
  switch (role) {
    case "authority":
      return [
        ...own,
        ...relay,
        `DirPort ${address}:${port + 1}`,
        "AuthoritativeDirectory 1",
        "V3AuthoritativeDirectory 1",
        `ConsensusParams ${PARAMETERS.join(" ")}`,
        `V3BandwidthsFile ${join(directory, "bandwidths")}`,
        "TestingDirAuthVoteExit *",
        "TestingDirAuthVoteHSDir *",
        "TestingDirAuthVoteGuard *",
        "TestingMinExitFlagThreshold 0",
        "MinUptimeHidServDirectoryV2 0",
      ];
    case "relay":
      return [...own, ...relay];
    case "service":
      return [
        ...own,
        "SocksPort 0",
        `HiddenServiceDir ${join(home, "onion")}`,
        `HiddenServicePort 80 127.0.0.1:${ORIGIN_PORT}`,
      ];
    default:
      return [...own, `SocksPort 127.0.0.1:${SOCKS_PORT}`];
  }
}

function startNode(hosts: Hosts, { name, role, home }: TorNode): HostProcess {
  return hosts.start(name, role, "tor", ["-f", join(home, "torrc")]);
}

function bootstrapped(process: HostProcess): Promise<true> {
  return lineOf(
    process,
    (line) => line.includes("Bootstrapped 100%") ? true : undefined,
    READY_SECONDS,
  );
}
