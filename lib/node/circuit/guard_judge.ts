/**
 * Judges guards by their links alone: a relay that ends circuits, or a peer that
 * floods us so that they are slow, does not make us leave a guard.
 *
 * @see protocol §5.8 "Paths"
 * @module
 */
import type { NodeId } from "../../auth/identity.ts";
import type { NodeRecord } from "../../auth/node_record.ts";
import { AnonNetError } from "../../base/errors.ts";
import type { Runtime } from "../../machine/runtime.ts";
import type { PathSelector } from "../../path/path_selection.ts";
import { type RelayKey, relayKey } from "../../path/relay_key.ts";
import type { CircuitLinks } from "./circuit_links.ts";

/** Failed dials that say nothing of the guard: it was not even tried. */
const NOT_DIALLED = new Set(["link.backoff", "link.full", "link.stopping"]);

/** What a judge is made of. */
export interface GuardJudgeOptions {
  readonly runtime: Pick<Runtime, "clock" | "localAddresses">;
  readonly links: CircuitLinks;
  readonly guards: PathSelector["guards"];
  /** Ends all dials. */
  readonly signal: AbortSignal;
  /** A guard has been left or is back in its place, or another one stands in for it. */
  readonly onChange: () => void;
}

/** Dials guards, and says which answer. */
export class GuardJudge {
  readonly #options: GuardJudgeOptions;
  /** Guards being dialled. */
  readonly #dialled = new Set<RelayKey>();

  constructor(options: GuardJudgeOptions) {
    this.#options = options;
  }

  /**
   * See whether a guard can be linked to. The dial is that of the build, and goes
   * on when the build has been given up.
   */
  async judge(guard: NodeRecord): Promise<void> {
    const { links, guards, signal, runtime, onChange } = this.#options;
    const { nodeId } = guard;
    const key = relayKey(nodeId);
    if (this.#dialled.has(key)) return;
    this.#dialled.add(key);
    try {
      await links.getOrDial(guard, { signal });
      this.onLink(nodeId);
    } catch (error) {
      if (!(error instanceof AnonNetError)) throw error;
      if (this.#isOffline || NOT_DIALLED.has(error.code)) return;
      if (guards.onUnlinked(nodeId, runtime.clock.nowMs())) onChange();
    } finally {
      this.#dialled.delete(key);
    }
  }

  /** There is a link to a node, made for whatever purpose. */
  onLink(nodeId: NodeId): void {
    const { guards, onChange } = this.#options;
    if (guards.onLinked(nodeId)) onChange();
  }

  /** Whether the node stops, or the system has no address that leads anywhere. */
  get #isOffline(): boolean {
    const { runtime, signal } = this.#options;
    return signal.aborted || runtime.localAddresses?.()?.length === 0;
  }
}
