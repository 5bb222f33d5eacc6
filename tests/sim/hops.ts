/**
 * Watches whom a client meets as its first and second hops, and how often.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { NodeRecord } from "../../lib/auth/node_record.ts";
import { PathSelector } from "../../lib/path/path_selection.ts";
import type { WholeWorld, WorldClient } from "./whole_world.ts";

/**
 * First and second hops of every circuit: one client builds all there are. First hops
 * are seen on the lines. Of what goes on from there the lines do not tell which hop
 * it is, since a guard may be a later hop of another circuit: so second hops are taken
 * from the paths that the client chose, of which the network sees no more than these.
 */
export class Hops implements Disposable {
  readonly first = new Set<string>();
  readonly second = new Set<string>();
  /** Second hops since the last look. */
  readonly lately = new Set<string>();
  circuits = 0;
  readonly #select = PathSelector.prototype.select;

  constructor({ network }: WholeWorld, { machine }: WorldClient) {
    network.observe = ({ from, to, bytes }) => {
      const isCircuit = bytes.length === 1 && bytes[0] === 0x02;
      if (!isCircuit || from.host !== machine.host) return;
      this.first.add(to.host);
      this.circuits++;
    };
    const select = this.#select;
    const onPath = (path: readonly NodeRecord[]) => this.#onPath(path);
    PathSelector.prototype.select = function (request, nowMs) {
      const result = select.call(this, request, nowMs);
      if (result.type === "path") onPath(result.path);
      return result;
    };
  }

  #onPath([first, second]: readonly NodeRecord[]): void {
    const [host, next] = [first, second].map((hop) => hop?.addresses[0]?.host);
    assert.ok(host !== undefined && next !== undefined);
    this.second.add(next);
    this.lately.add(next);
  }

  [Symbol.dispose](): void {
    PathSelector.prototype.select = this.#select;
  }
}
