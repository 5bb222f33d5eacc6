/**
 * What `anonnet doctor` asks of the machine.
 *
 * @module
 */
import type { DoctorSystem } from "./look.ts";

/** What a node cannot do without. */
const NEEDED = ["net", "read", "write"] as const;

/** The machine that this process is on. */
export function systemOfDoctor(): DoctorSystem {
  return {
    denoVersion: Deno.version.deno,
    async missingPermissions() {
      const states = await Promise.all(
        NEEDED.map((name) => Deno.permissions.query({ name })),
      );
      // "Partial" grants: write is denied to the program's own files, on purpose.
      return NEEDED.filter((_, index) => states[index]?.state === "prompt");
    },
    tryPort(kind, { host: hostname, port }) {
      try {
        if (kind === "tcp") Deno.listen({ hostname, port }).close();
        else {
          Deno.listenDatagram({ hostname, port, transport: "udp" }).close();
        }
        return "free";
      } catch (error) {
        return error instanceof Deno.errors.AddrInUse ? "taken" : "refused";
      }
    },
    families() {
      try {
        const outer = Deno.networkInterfaces().filter(({ address }) =>
          !/^(127\.|::1$|fe80:)/i.test(address)
        );
        return {
          ipv4: outer.some(({ family }) => family === "IPv4"),
          ipv6: outer.some(({ family }) => family === "IPv6"),
          hosts: outer.filter(({ family }) => family === "IPv4")
            .map(({ address }) => address),
        };
      } catch {
        return undefined;
      }
    },
  };
}
