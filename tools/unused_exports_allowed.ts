/**
 * Exports and members that the program does not need and that stay all the same,
 * each with the reason. An entry that is needed, or gone, fails the test.
 *
 * @module
 */

/** One exception. */
export interface AllowedExport {
  /** Path in the project. */
  readonly file: string;
  /** A member as in `Class.member`. */
  readonly name: string;
  /** Why it is neither private nor gone. */
  readonly reason: string;
}

/** Exceptions to `tools/unused_exports.ts`. */
export const ALLOWED_EXPORTS: readonly AllowedExport[] = [
  {
    file: "lib/service/meeting/introduction_work.ts",
    name: "isWorkDone",
    reason:
      'the rule of protocol §7.4 "Introduction" alone, which tests hold against another ' +
      "implementation, and against what clients compute",
  },
];

/** Exceptions to `tools/unused_members.ts`: machines of simulations, and what tests count. */
export const ALLOWED_MEMBERS: readonly AllowedExport[] = [
  ...["pending", "fired", "jumpUnix"].map((member) => ({
    file: "lib/base/virtual_clock.ts",
    name: `VirtualClock.${member}`,
    reason: "tests look for timers left behind, and let a machine sleep",
  })),
  {
    file: "lib/transport/memory_network.ts",
    name: "MemoryNetwork.kill",
    reason: "tests end connections between nodes that live on",
  },
  {
    file: "lib/transport/memory_network.ts",
    name: "MemoryNetwork.suspend",
    reason: "tests stop processes, and let machines sleep",
  },
  {
    file: "lib/sim/world/event_queue.ts",
    name: "EventQueue.runNext",
    reason: "worlds of tests look around after each event",
  },
  ...["reads", "cellWaits"].map((member) => ({
    file: "lib/node/circuit/cell_buffers.ts",
    name: `CellBuffers.${member}`,
    reason: "what a peer can pin is bounded by these, and shows nowhere else",
  })),
];
