/**
 * Publishes the descriptors of one service: stores each revision before it is
 * used, and takes a circuit for each publication.
 *
 * @see protocol §7.3 "Descriptors"
 * @module
 */
import type { Bytes } from "../../base/bytes.ts";
import { deadline } from "../../base/clock.ts";
import { UnreachableError } from "../../base/errors.ts";
import { type Log, thrown } from "../../log/log.ts";
import type { ServiceKey } from "../../service/delegation/service_key.ts";
import type { PublishAction, Revisions } from "../../service/publication.ts";
import type { TimePeriod } from "../../service/time_period.ts";
import { whileAlive } from "../circuit/circuit_use.ts";
import type { WaitLimit } from "../circuit/circuits.ts";
import type { ServiceContext } from "../session/service_context.ts";
import {
  publishDescriptor,
  type Publishing,
} from "../visit/descriptor_store.ts";
import type { IntroductionListener } from "./introduction_listener.ts";

/** A publication that has not ended by then has failed, ms. */
const PUBLISH_WAIT_MS = 40_000;

/** Keeps the highest revisions of a service's descriptors over restarts. */
export interface RevisionStore {
  /** The highest revision that was used for each period of late. */
  read(): Promise<Revisions>;
  /** Durable once it resolves. */
  write(period: TimePeriod, revision: number): Promise<void>;
}

/** For a service that leaves nothing behind: what it shows of the time rises by itself. */
export const NO_REVISIONS: RevisionStore = {
  read: () => Promise.resolve(new Map()),
  write: () => Promise.resolve(),
};

/** Whose descriptors are published. */
export interface PublisherOptions {
  readonly context: ServiceContext;
  /** What its operator calls the service; stands in the log. */
  readonly name: string;
  readonly key: ServiceKey;
  readonly revisions: RevisionStore;
  /** Keys of those who may find it. Default: every client that knows the address. */
  readonly clients?: readonly Bytes[];
}

/** The descriptors of one service. */
export class DescriptorPublisher {
  readonly #options: PublisherOptions;
  readonly #log: Log;

  constructor(options: PublisherOptions, log: Log) {
    this.#options = options;
    this.#log = log;
  }

  /**
   * Publish one descriptor.
   *
   * @param listeners The introduction points that it names.
   * @param onEnded Hears how many copies are stored: 1 at the first, or 0 at the end.
   * @throws {UnreachableError} `service.publish_timeout`, `circuit.*`.
   */
  async publish(
    { period, revision }: Pick<PublishAction, "period" | "revision">,
    listeners: readonly IntroductionListener[],
    onEnded: (copies: number) => void,
    { signal: stop }: WaitLimit,
  ): Promise<void> {
    const { context, key, clients = [] } = this.#options;
    const { circuits, clock } = context;
    let isStored = false;
    using limit = deadline(clock, PUBLISH_WAIT_MS, publishTimeout, stop);
    const { signal } = limit;
    try {
      await this.#keepRevision(period, revision);
      const circuit = await circuits.take({ purpose: "directory", signal });
      try {
        const publishing: Publishing = {
          key,
          period,
          revision,
          expiry: key.dates.expiry(period, clock.unixMs()),
          points: listeners.map(({ point }) => point),
          clients,
          onFirst: () => {
            isStored = true;
            onEnded(1);
          },
        };
        await whileAlive(
          clock,
          circuit,
          limit,
          (limit) => publishDescriptor(context, circuit, publishing, limit),
        );
      } finally {
        circuit.close();
      }
    } finally {
      if (!isStored) onEnded(0);
    }
  }

  /** A revision that was used must not be used again, should the clock be set back. */
  async #keepRevision(period: TimePeriod, revision: number): Promise<void> {
    const { name, revisions } = this.#options;
    try {
      await revisions.write(period, revision);
    } catch (error) {
      // The clock is a good substitute: better than a service that no client finds.
      this.#log.error("Cannot store the revision of a descriptor", {
        name,
        error: thrown(error),
      });
    }
  }
}

function publishTimeout(): UnreachableError {
  return new UnreachableError(
    "service.publish_timeout",
    "Cannot publish descriptor: it takes too long",
  );
}
