/**
 * Datagrams that no honest peer sends, or not so many of them.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type Random, randomBelow } from "../../lib/base/random.ts";
import { SERVER_NAME, trustAnchor } from "../../lib/transport/certificate.ts";
import { nobleSuite } from "../../lib/crypto/noble.ts";
import { testIdentity } from "./nodes.ts";

const LOCAL = { hostname: "127.0.0.1", port: 0 } as const;

/** Bytes that look like QUIC at their beginning, more or less. */
export function garbage(random: Random): Uint8Array {
  const bytes = random.bytes(1 + randomBelow(random, 1_400));
  const kind = randomBelow(random, 4);
  // Long header of QUIC 1, of an unknown version, short header, or anything.
  if (kind === 0) bytes.set([0xc0, 0, 0, 0, 1].slice(0, bytes.length));
  if (kind === 1) bytes.set([0xc0, 9, 9, 9, 9].slice(0, bytes.length));
  if (kind === 2) bytes[0] = 0x40;
  return bytes;
}

/** First packets of that many handshakes, taken from the wire. */
export async function firstPackets(
  count: number,
  alpn: string,
): Promise<Uint8Array[]> {
  const sink = Deno.listenDatagram({ ...LOCAL, transport: "udp" });
  const { hostname, port } = sink.addr as Deno.NetAddr;
  const endpoint = new Deno.QuicEndpoint(LOCAL);
  const anchor = trustAnchor(testIdentity(nobleSuite(), 1).publicKey);
  const packets: Uint8Array[] = [];
  const dials: Promise<unknown>[] = [];
  for (let i = 0; i < count; i++) {
    dials.push(assert.rejects(Deno.connectQuic<false>({
      endpoint,
      hostname,
      port,
      serverName: SERVER_NAME,
      alpnProtocols: [alpn],
      caCerts: [anchor],
    })));
    const [packet] = await sink.receive();
    packets.push(packet.slice());
  }
  endpoint.close();
  await Promise.all(dials);
  sink.close();
  return packets;
}
