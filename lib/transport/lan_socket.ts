/**
 * Multicast on the networks that this machine is attached to, IPv4 alone: the
 * platform refuses to send to IPv6 groups.
 *
 *     send ─ one socket for each address of ours ─▶ 239.255.65.78:16578, one hop far
 *     receive ◀─ one socket, shared with other processes of this machine
 *
 * @see protocol §9.8 "Discovery on a LAN"
 * @module
 */
import type { SocketAddress } from "../auth/socket_address.ts";
import { ConfigError } from "../base/errors.ts";

/** Protocol: the group, of the range that organisations use within (RFC 2365). */
const GROUP = {
  transport: "udp",
  hostname: "239.255.65.78",
  port: 16_578,
} as const;

/** A packet that came. */
export interface LanPacket {
  readonly message: Uint8Array;
  readonly from: SocketAddress;
}

/** An open door to the LAN. */
export interface LanSocket {
  /** Send to all who listen; what is lost is lost. */
  send(message: Uint8Array): Promise<void>;
  /** The next packet; `undefined` once it is closed. */
  receive(): Promise<LanPacket | undefined>;
  close(): void;
}

/**
 * Open it on these addresses of ours.
 *
 * @throws {ConfigError} `transport.lan` where none of them can be used.
 */
export async function openLanSocket(
  hosts: readonly string[],
): Promise<LanSocket> {
  using stack = new DisposableStack();
  const listen = (hostname: string, port: number) =>
    stack.adopt(
      Deno.listenDatagram({
        transport: "udp",
        hostname,
        port,
        reuseAddress: port !== 0,
        loopback: true, // other processes of this machine listen too
      }),
      (socket) => socket.close(),
    );
  try {
    const inbound = listen("0.0.0.0", GROUP.port);
    const outbound: Deno.DatagramConn[] = [];
    for (const host of hosts) {
      await inbound.joinMulticastV4(GROUP.hostname, host);
      outbound.push(listen(host, 0));
    }
    return new OpenLanSocket(inbound, outbound, stack.move());
  } catch (cause) {
    throw new ConfigError(
      "transport.lan",
      `Cannot look for relays on the LAN: UDP port ${GROUP.port} or multicast cannot ` +
        `be used; leave out --lan, or end the program that has the port`,
      { cause },
    );
  }
}

class OpenLanSocket implements LanSocket {
  readonly #inbound: Deno.DatagramConn;
  readonly #outbound: readonly Deno.DatagramConn[];
  readonly #stack: DisposableStack;

  constructor(
    inbound: Deno.DatagramConn,
    outbound: readonly Deno.DatagramConn[],
    stack: DisposableStack,
  ) {
    this.#inbound = inbound;
    this.#outbound = outbound;
    this.#stack = stack;
  }

  async send(message: Uint8Array): Promise<void> {
    await Promise.allSettled(
      this.#outbound.map((socket) => socket.send(message, GROUP)),
    );
  }

  async receive(): Promise<LanPacket | undefined> {
    for (;;) {
      try {
        const [message, from] = await this.#inbound.receive();
        if (from.transport !== "udp") continue;
        return { message, from: { host: from.hostname, port: from.port } };
      } catch {
        return undefined; // closed
      }
    }
  }

  close(): void {
    this.#stack.dispose();
  }
}
