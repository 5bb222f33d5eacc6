/**
 * The runtime's QUIC with our certificates and settings, and nothing else of ours.
 *
 * @module
 */
import { Identity } from "../lib/auth/identity.ts";
import { seededRandom } from "../lib/base/random.ts";
import { nativeSuite } from "../lib/crypto/native.ts";
import { SERVER_NAME, trustAnchor } from "../lib/transport/certificate.ts";

/** What bare pipes speak. */
export const BARE_ALPN = "bare-pipe";

/** Settings as those of our endpoints. */
export const BARE_TRANSPORT = {
  maxIdleTimeout: 10_000,
  keepAliveInterval: 3_000,
  congestionControl: "low-latency",
} as const;

/** All bare pipes have this identity. */
const identity = Identity.generate(nativeSuite(), seededRandom(1));

/** Connect to a bare pipe. */
export async function dialBare(port: number): Promise<Deno.QuicConn> {
  const conn = await Deno.connectQuic<false>({
    endpoint: new Deno.QuicEndpoint({ hostname: "127.0.0.1", port: 0 }),
    hostname: "127.0.0.1",
    port,
    serverName: SERVER_NAME,
    alpnProtocols: [BARE_ALPN],
    caCerts: [trustAnchor(identity.publicKey)],
    ...BARE_TRANSPORT,
  });
  conn.closed.catch(() => {});
  return conn;
}
