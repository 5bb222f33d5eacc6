/**
 * Services and their visitors over fake circuits, on a virtual clock.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Identity, type PublicKey } from "../../../lib/auth/identity.ts";
import { networkParameters } from "../../../lib/auth/network.ts";
import { RecordVerifier } from "../../../lib/auth/record_verifier.ts";
import { type Bytes, concat } from "../../../lib/base/bytes.ts";
import { seededRandom } from "../../../lib/base/random.ts";
import { VirtualClock } from "../../../lib/base/virtual_clock.ts";
import type { CryptoSuite } from "../../../lib/crypto/suite.ts";
import { repeatableSuite } from "../../../lib/crypto/repeatable.ts";
import { Visits, type VisitsOptions } from "../../../lib/node/visit/visits.ts";
import type { ServiceContext } from "../../../lib/node/session/service_context.ts";
import type { RevisionStore } from "../../../lib/node/host/descriptor_publisher.ts";
import {
  HostedService,
  type HostedServiceOptions,
} from "../../../lib/node/host/hosted_service.ts";
import type { SessionStreamHandle } from "../../../lib/node/session/session_stream.ts";
import type { Delegation } from "../../../lib/service/delegation/delegation.ts";
import {
  HostKey,
  OwnKey,
} from "../../../lib/service/delegation/service_key.ts";
import type { Revisions } from "../../../lib/service/publication.ts";
import type { TimePeriod } from "../../../lib/service/time_period.ts";
import { SessionQuota } from "../../../lib/session/quota.ts";
import { createDrain } from "../../../lib/sim/world/drain.ts";
import { RecordingLog } from "../../support/recording_log.ts";
import { echo } from "../../support/stream_handlers.ts";
import { runOn } from "../../transport/world.ts";
import { type FakeCircuits, FakeNetwork } from "../circuit/fake_circuits.ts";

export const NEVER = new AbortController().signal;
export const MINUTE = 60_000;

/** A revision store in memory. */
export class MemoryRevisions implements RevisionStore {
  /** Of each period, in their order. */
  readonly all = new Map<TimePeriod, number[]>();

  read(): Promise<Revisions> {
    return Promise.resolve(
      new Map(
        Array.from(this.all, ([period, all]) => [period, Math.max(...all)]),
      ),
    );
  }

  write(period: TimePeriod, revision: number): Promise<void> {
    this.all.getOrInsertComputed(period, () => []).push(revision);
    return Promise.resolve();
  }
}

/** A service in a world. */
export interface TestService {
  readonly driver: HostedService;
  readonly circuits: FakeCircuits;
  readonly publicKey: PublicKey;
  readonly revisions: MemoryRevisions;
  readonly log: RecordingLog;
}

/** A visitor in a world. */
export interface TestClient {
  readonly visits: Visits;
  readonly circuits: FakeCircuits;
  readonly log: RecordingLog;
}

/** What differs from a service that echoes at port 80. */
export type ServiceChanges = Partial<
  Pick<
    HostedServiceOptions,
    | "targets"
    | "clients"
    | "dial"
    | "revisions"
    | "proxyProtocol"
    | "maxStreams"
  >
>;

/** A network with services and visitors, all gone at its end. */
export class ServiceWorld implements AsyncDisposable {
  readonly clock = new VirtualClock({ drain: createDrain(), maxEvents: 3e6 });
  readonly crypto: CryptoSuite;
  readonly network: FakeNetwork;
  readonly #opened = new AsyncDisposableStack();
  readonly #logs: RecordingLog[] = [];
  #seed = 1;

  /** @param change What differs from the suite of worlds that repeat themselves. */
  constructor(
    seed = 1,
    change: (suite: CryptoSuite) => CryptoSuite = (suite) => suite,
  ) {
    this.crypto = change(repeatableSuite());
    this.network = new FakeNetwork(
      this.clock,
      seededRandom(seed * 1000),
      this.crypto,
    );
    this.#seed = seed * 100;
  }

  context(): ServiceContext & { circuits: FakeCircuits; log: RecordingLog } {
    const { clock, crypto } = this;
    const network = networkParameters("local");
    const log = new RecordingLog();
    this.#logs.push(log);
    const circuits = this.network.node();
    return {
      circuits,
      relays: { snapshot: () => circuits.relays() },
      crypto,
      random: seededRandom(++this.#seed),
      clock,
      network,
      verifier: new RecordVerifier(crypto, network),
      quota: new SessionQuota(),
      log,
      doubt: () => {},
    };
  }

  /** Start a service; it is not ready yet. */
  async service(
    changes: ServiceChanges = {},
    key = 1,
    issue = 0,
  ): Promise<TestService> {
    const context = this.context();
    const identity = new Identity(this.crypto, new Uint8Array(32).fill(key));
    const revisions = new MemoryRevisions();
    const driver = this.#opened.use(
      await HostedService.start({
        context,
        name: "test",
        key: new OwnKey(this.crypto, identity, issue),
        revisions,
        targets: new Map([[80, { type: "handler", handle: echo }]]),
        ...changes,
      }),
    );
    const { circuits, log } = context;
    const { publicKey } = identity;
    return { driver, circuits, publicKey, revisions, log };
  }

  /** Start a host that has no key of the service; it is not ready yet. */
  async host(
    delegation: Delegation,
    changes: ServiceChanges = {},
  ): Promise<TestService> {
    const context = this.context();
    const { service: publicKey, seed, periods } = delegation;
    const named = new Set(periods.map(({ period }) => period));
    const revisions = new MemoryRevisions();
    const driver = this.#opened.use(
      await HostedService.start({
        context,
        name: `host-${delegation.slot}`,
        key: new HostKey(this.crypto, publicKey, seed, named),
        delegation,
        revisions,
        targets: new Map([[80, { type: "handler", handle: echo }]]),
        ...changes,
      }),
    );
    const { circuits, log } = context;
    return { driver, circuits, publicKey, revisions, log };
  }

  /** Start a service and wait until it can be reached. */
  async readyService(
    changes: ServiceChanges = {},
    key = 1,
    issue = 0,
  ): Promise<TestService> {
    const service = await this.service(changes, key, issue);
    await service.driver.ready;
    return service;
  }

  client(options: Omit<VisitsOptions, "context"> = {}): TestClient {
    const context = this.context();
    const visits = this.#opened.use(
      new Visits({ context, ...options }),
    );
    const { circuits, log } = context;
    return { visits, circuits, log };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#opened.disposeAsync();
    const faults = this.#logs.flatMap(({ lines }) =>
      lines.filter(({ level }) => level === "error")
    );
    assert.deepEqual(faults, []);
  }
}

/** Run a test in a world of its own. */
export async function inServiceWorld(
  test: (world: ServiceWorld) => Promise<void>,
  seed = 1,
  change?: (suite: CryptoSuite) => CryptoSuite,
): Promise<void> {
  const world = new ServiceWorld(seed, change);
  const run = async () => {
    await using _ = world;
    await test(world);
  };
  await runOn(world.clock, run());
}

/** All that comes until the end. */
export async function readAll(stream: SessionStreamHandle): Promise<Bytes> {
  const chunks: Uint8Array[] = [];
  for (;;) {
    const chunk = await stream.read();
    if (chunk === undefined) return concat(...chunks);
    chunks.push(chunk);
  }
}

/** Send bytes and the end, and return what comes back. */
export async function exchange(
  stream: SessionStreamHandle,
  bytes: Uint8Array,
): Promise<Bytes> {
  const reading = readAll(stream);
  for (let at = 0; at < bytes.length; at += 32_768) {
    await stream.write(bytes.subarray(at, at + 32_768));
  }
  await stream.closeWrite();
  return await reading;
}
