/**
 * A program that dials, waits for a byte, closes its endpoint and exits at once: the peer must
 * hear of it all the same.
 *
 *     transport_exit.ts HOST PORT PUBLIC_KEY_HEX
 *
 * @module
 */
import { asPublicKey, Identity } from "../../lib/auth/identity.ts";
import { nobleSuite } from "../../lib/crypto/noble.ts";
import { openQuicEndpoint } from "../../lib/transport/quic_endpoint.ts";

const [host = "", port = "", key = ""] = Deno.args;
const suite = nobleSuite();
const seed = crypto.getRandomValues(new Uint8Array(32));
const endpoint = await openQuicEndpoint({
  address: { host: "127.0.0.1", port: 0 },
  alpn: "h3",
  identity: new Identity(suite, seed),
  crypto: suite,
});
const peer = asPublicKey(Uint8Array.fromHex(key));
const connection = await endpoint.dial({ host, port: Number(port) }, peer);
const stream = await connection.openStream();
await stream.closeWrite();
await stream.read(new Uint8Array(1));
await endpoint.close();
Deno.exit(0);
