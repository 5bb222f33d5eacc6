/**
 * Links to peers beside the first, for circuits alone: a peer grants few streams
 * on each link, and a node that many visit needs more of them.
 *
 *     openCircuit ─▶ a link with a free stream? ── yes ──▶ stream
 *                          │ no                     few are left: dial one more
 *                          └─▶ one being dialled? ── yes ──▶ wait ──▶ stream
 *                                     │ no
 *                                     └─▶ link.streams
 *
 * The first link that has room is taken, so that the last ones fall idle when the
 * crowd has gone, and end.
 *
 * @see protocol §3.7 "Two links, and the end of a link"
 * @module
 */
import { type Clock, raceSignal } from "../../base/clock.ts";
import { UnreachableError } from "../../base/errors.ts";
import { SpareStreams } from "../../link/spare_streams.ts";
import type { ByteStream, OpenOptions } from "../../transport/transport.ts";
import type { Link } from "./link.ts";

/** What further links need of the table. */
export interface FurtherLinksHost {
  readonly clock: Clock;
  /** Link to the peer of `first` once more, under an identity made for it. */
  dial(first: Link): Promise<Link>;
  /** Own a promise. */
  run(work: Promise<unknown>): void;
}

/** The links to one peer that carry circuits. */
interface Bundle {
  /** The one of use, when the bundle was made. */
  readonly first: Link;
  readonly spare: SpareStreams;
  /** Beside the first, the oldest first. */
  readonly further: Link[];
  dial: Promise<unknown> | undefined;
}

/** The further links of one node. */
export class FurtherLinks {
  readonly #host: FurtherLinksHost;
  readonly #bundles = new Map<string, Bundle>();

  constructor(host: FurtherLinksHost) {
    this.#host = host;
  }

  /**
   * Open a stream for a circuit on the first link to its peer, or beside it. The
   * caller ends it, both ways.
   *
   * @throws {UnreachableError} `link.streams` when the peer bears no more, `link.lost`,
   * or the signal's reason.
   */
  async openCircuit(
    first: Link,
    options: OpenOptions = {},
  ): Promise<ByteStream> {
    const key = first.peerKey.toHex();
    const bundle = this.#bundles.get(key) ??
      { first, spare: new SpareStreams(), further: [], dial: undefined };
    for (;;) {
      const links = [first, ...bundle.further].filter(({ isOpen }) => isOpen);
      const free = links.reduce(
        (sum, { freeCircuits }) => sum + freeCircuits,
        0,
      );
      const verdict = bundle.spare.onUse(
        links.length,
        free,
        this.#host.clock.nowMs(),
      );
      if (verdict === "dial") this.#dial(key, bundle, first);
      const link = links.find(({ freeCircuits }) => freeCircuits > 0);
      if (link !== undefined) return await link.openCircuit(options);
      // The first has ended: its error says so.
      if (links.length === 0) return await first.openCircuit(options);
      if (bundle.dial === undefined) throw full();
      await raceSignal(bundle.dial, options.signal);
    }
  }

  /** Dial beside what uses the links there are. */
  #dial(key: string, bundle: Bundle, first: Link): void {
    const { clock } = this.#host;
    if (!this.#bundles.has(key)) {
      this.#bundles.set(key, bundle);
      first.closed.then(() => this.#tidy(key, bundle));
    }
    const dial = this.#host.dial(first).then((link) => {
      bundle.spare.onDialled("linked", clock.nowMs());
      bundle.further.push(link);
      link.closed.then(() => this.#forget(key, bundle, link));
    }, () => {
      // Whatever it was: the first link stands, so the peer is there.
      bundle.spare.onDialled("failed", clock.nowMs());
    }).finally(() => bundle.dial = undefined);
    bundle.dial = dial;
    this.#host.run(dial);
  }

  #forget(key: string, bundle: Bundle, link: Link): void {
    const at = bundle.further.indexOf(link);
    if (at >= 0) bundle.further.splice(at, 1);
    if (bundle.first.isOpen) return;
    this.#tidy(key, bundle);
  }

  /** The first has ended: with the last of the others, nothing is left to remember. */
  #tidy(key: string, bundle: Bundle): void {
    if (bundle.further.length === 0) this.#bundles.delete(key);
  }
}

function full(): UnreachableError {
  return new UnreachableError(
    "link.streams",
    "Cannot open circuit: the peer bears no more of them",
  );
}
