/**
 * What the beginning of a control message, or of a train, takes of a relay's quota,
 * until its end has come.
 *
 * @see protocol §5.4 "The control stream" and §5.6 "Memory"
 * @module
 */
import type {
  CellQuota,
  Waiter,
  WaitingKind,
} from "../../circuit/cell_quota.ts";

/** The unfinished message of one circuit, or the unfinished train of one of its streams. */
export class HeldMessage<Owner> implements Waiter<Owner> {
  readonly kind: WaitingKind;
  readonly owner: Owner;
  readonly #quota: CellQuota<Owner>;
  #heldBytes = 0;
  #sinceMs: number | undefined;

  constructor(
    quota: CellQuota<Owner>,
    owner: Owner,
    kind: WaitingKind = "messages",
  ) {
    this.kind = kind;
    this.#quota = quota;
    this.owner = owner;
  }

  get oldestMs(): number | undefined {
    return this.#sinceMs;
  }

  get freeableBytes(): number {
    return this.#heldBytes;
  }

  /** It takes `bytes` now; 0 once its end has come, or the circuit's. */
  set(bytes: number, nowMs: number): void {
    const before = this.#heldBytes;
    if (bytes === before) return;
    this.#heldBytes = bytes;
    this.#sinceMs = bytes === 0 ? undefined : this.#sinceMs ?? nowMs;
    if (bytes > before) this.#quota.add(this, bytes - before);
    else this.#quota.remove(this, before - bytes);
  }
}
