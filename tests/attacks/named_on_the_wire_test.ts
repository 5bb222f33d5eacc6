/**
 * The attack: a censor reads the first packets of every QUIC connection, whose
 * keys any observer can compute, and drops what names this network.
 *
 * @see protocol §3.1 "Transport"
 * @module
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { networkParameters } from "../../lib/auth/network.ts";
import { seededRandom } from "../../lib/base/random.ts";
import { Identity } from "../../lib/auth/identity.ts";
import { nativeSuite } from "../../lib/crypto/native.ts";
import { openQuicEndpoint } from "../../lib/transport/quic_endpoint.ts";
import {
  alpnOf,
  type ClientHello,
  ClientHelloReader,
  SERVER_NAME_EXTENSION,
} from "../support/client_hello.ts";

const CRYPTO = nativeSuite();

/** The ClientHello of a dial, as an observer of the wire has it. */
async function captured(networkName: string): Promise<ClientHello> {
  const peer = Identity.generate(CRYPTO, seededRandom(1));
  await using endpoint = await openQuicEndpoint({
    address: { host: "127.0.0.1", port: 0 },
    alpn: networkParameters(networkName).alpn,
    identity: Identity.generate(CRYPTO, seededRandom(2)),
    crypto: CRYPTO,
  });
  const wire = Deno.listenDatagram({
    transport: "udp",
    hostname: "127.0.0.1",
    port: 0,
  });
  const { hostname, port } = wire.addr as Deno.NetAddr;
  const dial = assert.rejects(
    endpoint.dial({ host: hostname, port }, peer.publicKey),
  );
  const reader = new ClientHelloReader();
  let hello: ClientHello | undefined;
  while (hello === undefined) {
    const [datagram] = await wire.receive();
    hello = reader.read(datagram);
  }
  await endpoint.close();
  await dial;
  wire.close();
  return hello;
}

for (const name of ["main", "local"]) {
  Deno.test(`a censor finds no name of ours in a ClientHello of network ${name}`, async () => {
    const hello = await captured(name);
    const text = Buffer.from(hello.bytes).toString("latin1").toLowerCase();
    for (const ours of ["anon", "node.", "invalid", name]) {
      assert.ok(!text.includes(ours), `"${ours}" stands in the ClientHello`);
    }
    assert.equal(hello.extensions.has(SERVER_NAME_EXTENSION), false);
    assert.deepEqual(alpnOf(hello), ["h3"]);
  });
}
