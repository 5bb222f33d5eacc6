/** What a client's machine and a service do to the network around them. */
import assert from "node:assert/strict";
import { succeed } from "../support/client_programs.ts";
import { NodeProcess, ProcessNetwork } from "../support/process_network.ts";
import { openForwarder, type UdpForwarder } from "../support/udp_forwarder.ts";
import { UdpPorts } from "../support/udp_ports.ts";

/** Guards of a client (protocol §5.6 "Memory"). */
const GUARDS = 2;
/** Relays that a client asks for the list at its first start (protocol §4.7 "The relay list"). */
const SOURCES = 4;
/** Longest wait for an answer, ms: beside other tests processes get a part of the machine each. */
const PATIENCE_MS = 90_000;

/** A network in which every relay is reached through a forwarder that takes note. */
class WatchedNetwork implements AsyncDisposable {
  readonly network: ProcessNetwork;
  readonly #forwarders: readonly UdpForwarder[];
  readonly #stack: AsyncDisposableStack;

  private constructor(
    network: ProcessNetwork,
    forwarders: readonly UdpForwarder[],
    stack: AsyncDisposableStack,
  ) {
    this.network = network;
    this.#forwarders = forwarders;
    this.#stack = stack;
  }

  static async create(relays: number): Promise<WatchedNetwork> {
    await using starting = new AsyncDisposableStack();
    const forwarders: UdpForwarder[] = [];
    const { ports } = starting.use(new UdpPorts(relays));
    for (const port of ports) {
      const target = { host: "127.0.0.1", port };
      forwarders.push(starting.use(await openForwarder(target)));
    }
    const network = starting.use(
      await ProcessNetwork.start({
        relays,
        relayFlags: (index) => [
          `--listen=127.0.0.1:${ports[index]}`,
          `--advertise=127.0.0.1:${forwarders[index]?.address.port}`,
        ],
      }),
    );
    return new WatchedNetwork(network, forwarders, starting.move());
  }

  /** Relays, by index, to which a process has sent anything. */
  async peersOf(node: NodeProcess): Promise<number[]> {
    const ports = await udpPortsOf(node.pid);
    assert.ok(ports.length > 0, "the process has a UDP socket");
    return this.#forwarders.flatMap(({ senders }, index) =>
      ports.some((port) => senders.has(`127.0.0.1:${port}`)) ? [index] : []
    );
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}

/** Local ports of all UDP sockets of a process, as its kernel has them. */
async function udpPortsOf(pid: number): Promise<number[]> {
  // Files that are closed while it reads are no failure, though `ls` says so.
  const list = `ls -l /proc/${pid}/fd 2> /dev/null; true`;
  const open = await succeed("sh", ["-c", list]);
  const inodes = new Set(
    [...open.text.matchAll(/socket:\[([0-9]+)\]/g)].map(([, inode]) => inode),
  );
  const tables = await succeed("cat", ["/proc/net/udp", "/proc/net/udp6"]);
  return tables.text.split("\n").flatMap((line) => {
    const fields = line.trim().split(/\s+/);
    const port = fields[1]?.split(":")[1] ?? "";
    return inodes.has(fields[9]) ? [Number.parseInt(port, 16)] : [];
  });
}

function startSite(): Deno.HttpServer<Deno.NetAddr> & AsyncDisposable {
  return Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => new Response("hello"),
  );
}

/** Fetch through a proxy. */
async function visit(
  { socks }: NodeProcess,
  host: string,
  isolation: string,
): Promise<string> {
  using client = Deno.createHttpClient({
    proxy: {
      url: `socks5h://${socks}`,
      basicAuth: { username: isolation, password: "x" },
    },
  });
  const signal = AbortSignal.timeout(PATIENCE_MS);
  const response = await fetch(`http://${host}/`, { client, signal });
  return await response.text();
}

/**
 * The same, tried three times: where the processors are busy, a service that has just
 * started again may not be found at once, and what this test looks at are packets.
 */
async function visited(
  proxy: NodeProcess,
  host: string,
  isolation: string,
): Promise<string> {
  for (let tries = 1;; tries++) {
    try {
      return await visit(proxy, host, isolation);
    } catch (error) {
      if (tries === 3) throw error;
    }
  }
}

const LINUX = Deno.build.os === "linux";

Deno.test({
  name: "clients exchange packets with their guards alone, for good",
  ignore: !LINUX,
  async fn() {
    await using world = await WatchedNetwork.create(7);
    await using site = startSite();
    const { network } = world;
    const [service, proxy] = await Promise.all([
      network.serve([`80=127.0.0.1:${site.addr.port}`]),
      network.proxy("proxy"),
    ]);
    const guards: number[][] = [];
    for (let start = 0; start < 2; start++) {
      if (start > 0) await Promise.all([service.restart(), proxy.restart()]);
      for (let key = 0; key < 5; key++) {
        assert.equal(await visited(proxy, service.host, `key ${key}`), "hello");
      }
      guards.push(await world.peersOf(proxy), await world.peersOf(service));
    }
    const [proxyFirst, serviceFirst, proxyThen, serviceThen] = guards;
    // At the first start a client asks the relay that it was told of for the list,
    // and three that it names, since no list is taken from one alone.
    assertGuards(proxyFirst, proxyThen);
    assertGuards(serviceFirst, serviceThen);
    for (const peers of [proxyThen, serviceThen]) {
      assert.ok(peers !== undefined && peers.length > 0);
      assert.ok(peers.length <= GUARDS, `relays ${peers}`);
    }
  },
});

function assertGuards(
  peers: readonly number[] | undefined,
  guards: readonly number[] | undefined,
): void {
  const others = peers?.filter((peer) => !guards?.includes(peer)) ?? [];
  assert.ok(others.length <= SOURCES, `relays ${others} besides guards`);
}
