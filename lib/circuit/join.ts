/**
 * What a rendezvous point does with joined circuits: it opens the cells that one
 * client sends it, and sends their payloads to the other client as its own.
 *
 *     from A   size   gap   head(A)   payload   opened with A's forward key
 *     to B     size   gap   zeros     payload   sealed with B's backward key
 *
 * Only DATA passes. The ends of a session have nothing else to say to each
 * other, and neither may speak to the other's control stream in the name of the
 * relay.
 *
 * @see protocol §5.7 "Joining"
 * @module
 */
import { COMMAND, PAYLOAD_OFFSET, unitBytes } from "./cell.ts";
import type { RelayLayer } from "./relay_layer.ts";

/**
 * Carry whole cells and trains across, in place.
 *
 * @param from Layer of the circuit that they came on.
 * @param to Layer of the circuit that they leave on, towards its client.
 * @returns Whether all of them were cells of data, as sent. If not, nothing of
 * `cells` may go anywhere, and both circuits are dead.
 */
export function carryAcross(
  from: RelayLayer,
  to: RelayLayer,
  cells: Uint8Array,
): boolean {
  for (let start = 0; start < cells.length;) {
    const end = start + unitBytes(cells, start);
    const cell = cells.subarray(start, end);
    if (!from.openForward(cell)) return false;
    if (cell[PAYLOAD_OFFSET] !== COMMAND.data) return false;
    to.sealBackward(cell);
    start = end;
  }
  return true;
}
