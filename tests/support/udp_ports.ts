/**
 * UDP ports that a network keeps while its processes come and go.
 *
 * @module
 */
import { randomBelow } from "../../lib/base/random.ts";
import { systemRandom } from "../../lib/machine/system_random.ts";

/** Ports that systems give only to programs that ask for them. */
const RANGE = { first: 10_000, count: 20_000 } as const;

/**
 * Some UDP ports on loopback, ours until disposed of: a TCP listener at the same
 * number keeps others from reserving it, and leaves the UDP port free.
 */
export class UdpPorts implements Disposable {
  readonly ports: readonly number[];
  readonly #locks: Deno.TcpListener[] = [];

  constructor(count: number) {
    this.ports = Array.from({ length: count }, () => this.#reserve());
  }

  #reserve(): number {
    for (;;) {
      const port = RANGE.first + randomBelow(systemRandom, RANGE.count);
      const at = { hostname: "127.0.0.1", port };
      try {
        Deno.listenDatagram({ transport: "udp", ...at }).close();
        this.#locks.push(Deno.listen(at));
        return port;
      } catch (error) {
        if (!(error instanceof Deno.errors.AddrInUse)) throw error;
      }
    }
  }

  [Symbol.dispose](): void {
    for (const lock of this.#locks) lock.close();
  }
}
