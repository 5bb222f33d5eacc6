/**
 * How a connection finds out what its path carries.
 *
 * BBR keeps its pace where packets are lost on the way, where Cubic falls to a tenth.
 * It lets out what the path held at its shortest round trip: where that is a tenth of a
 * millisecond, four packets, one cell. The processes at both ends take longer than that
 * to have their turn. Once a connection between them has had to wait, it carries one
 * cell for each time that they do, and with many circuits never catches up. On a path that
 * does not leave the machine nothing is lost but what a full socket drops.
 *
 * @see docs/decisions/0043-two-thousand-visitors.md
 * @module
 */
import { isLoopback } from "../auth/socket_address.ts";

/** What the runtime calls Cubic and BBR. */
export type CongestionControl = "throughput" | "low-latency";

/** What suits connections to or from a literal IP address. */
export function congestionControlOf(host: string): CongestionControl {
  return isLoopback(host) ? "throughput" : "low-latency";
}
