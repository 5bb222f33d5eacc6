/**
 * A UDP forwarder on loopback: a line between two real endpoints that tests can
 * cut, and from which they can take packets.
 *
 * @module
 */
import type { SocketAddress } from "../../lib/auth/socket_address.ts";

/** A running forwarder. */
export interface UdpForwarder extends AsyncDisposable {
  /** Where to send to; from there it goes on to the target. */
  readonly address: SocketAddress;
  /** `HOST:PORT` of every sender that has ever sent to us. */
  readonly senders: { has(sender: string): boolean };
  /** Swallow everything from now on. */
  stop(): void;
}

/** Forward between `target` and the senders that reach us, each with a port of its own. */
export function openForwarder(target: SocketAddress): Promise<UdpForwarder> {
  const front = listen();
  const backs = new Map<string, Deno.DatagramConn>();
  const loops: Promise<void>[] = [];
  let isStopped = false;

  const pump = async (
    from: Deno.DatagramConn,
    deliver: (packet: Uint8Array, sender: Deno.NetAddr) => Promise<unknown>,
  ) => {
    try {
      for await (const [packet, sender] of from) {
        if (isStopped) continue;
        await deliver(packet, sender as Deno.NetAddr);
      }
    } catch (error) {
      if (!isStopped) throw error;
    }
  };
  const backOf = (client: Deno.NetAddr): Deno.DatagramConn => {
    const key = `${client.hostname}:${client.port}`;
    let back = backs.get(key);
    if (back === undefined) {
      back = listen();
      backs.set(key, back);
      loops.push(pump(back, (packet) => front.send(packet, client)));
    }
    return back;
  };
  const to: Deno.NetAddr = {
    transport: "udp",
    hostname: target.host,
    port: target.port,
  };
  loops.push(
    pump(front, (packet, client) => backOf(client).send(packet, to)),
  );

  const { hostname, port } = front.addr as Deno.NetAddr;
  return Promise.resolve({
    address: { host: hostname, port },
    senders: backs,
    stop: () => {
      isStopped = true;
    },
    async [Symbol.asyncDispose]() {
      isStopped = true;
      front.close();
      for (const back of backs.values()) back.close();
      await Promise.all(loops);
    },
  });
}

function listen(): Deno.DatagramConn {
  return Deno.listenDatagram({
    transport: "udp",
    hostname: "127.0.0.1",
    port: 0,
  });
}
