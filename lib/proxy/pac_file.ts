/**
 * The file that tells a browser to send `.anon` names, and nothing else, to the
 * proxy (proxy auto-configuration).
 *
 * A name with a final dot is sent here too, to be refused: a browser that takes it
 * for an ordinary name would ask a resolver. For the same reason there is no
 * "; DIRECT" after the proxy.
 *
 * @see protocol §8.5 "Pages of the proxy"
 * @module
 */
import {
  formatSocketAddress,
  type SocketAddress,
} from "../auth/socket_address.ts";

/** What the file is served as. */
export const PAC_CONTENT_TYPE = "application/x-ns-proxy-autoconfig";

/** The file for a proxy that listens at `address`. */
export function formatPacFile(address: SocketAddress): string {
  return `function FindProxyForURL(url, host) {
  if (/(^|\\.)anon\\.?$/i.test(host)) return "PROXY ${
    formatSocketAddress(address)
  }";
  return "DIRECT";
}
`;
}
