/**
 * Circuits without links, cells or onion layers: what services see of a network,
 * in memory and on a virtual clock. Two circuits that meet at a relay are joined.
 *
 * @module
 */
import { AVOID_NOTHING } from "../../../lib/path/path_avoid.ts";
import type { CellPort } from "../../../lib/node/circuit/leg_carrier.ts";
import type { NodeId } from "../../../lib/auth/identity.ts";
import { BUILDS } from "../../../lib/pool/build_places.ts";
import type { Pressure } from "../../../lib/base/pressure.ts";
import type { NodeRecord } from "../../../lib/auth/node_record.ts";
import { type Bytes, equalBytes } from "../../../lib/base/bytes.ts";
import { raceSignal, sleep } from "../../../lib/base/clock.ts";
import { UnreachableError } from "../../../lib/base/errors.ts";
import { type Random, shuffled } from "../../../lib/base/random.ts";
import type { VirtualClock } from "../../../lib/base/virtual_clock.ts";
import type { CryptoSuite } from "../../../lib/crypto/suite.ts";
import { decodeStoredRecord } from "../../../lib/dht/records/stored_record.ts";
import type {
  Circuits,
  CircuitWish,
  ServiceCircuit,
  ServiceQuestion,
  WaitLimit,
} from "../../../lib/node/circuit/circuits.ts";
import { MachineTimer } from "../../../lib/base/machine_timer.ts";
import {
  decodeEstablishIntro,
  decodeIntroduce1,
  encodeIntroduceAck,
  type IntroduceAnswer,
} from "../../../lib/service/meeting/introduction_messages.ts";
import {
  IntroductionTable,
  type TableAction,
} from "../../../lib/service/meeting/introduction_table.ts";
import {
  decodeEstablishRendezvous,
  decodeRendezvous1,
} from "../../../lib/service/meeting/rendezvous.ts";
import { RendezvousTable } from "../../../lib/service/meeting/rendezvous_table.ts";
import { SESSION_CELL_BYTES } from "../../../lib/session/leg.ts";
import { encodeCbor } from "../../../lib/wire/cbor.ts";
import { testRecord } from "../../support/nodes.ts";

/** One way over a circuit, ms. */
export const LATENCY_MS = 40;

/** A relay, as far as circuits end there. */
export class FakeRelay {
  record: NodeRecord;
  readonly introductions: IntroductionTable<FakeCircuit>;
  readonly rendezvous = new RendezvousTable<FakeCircuit>();
  readonly circuits = new Set<FakeCircuit>();
  isAlive = true;
  /** Takes introductions and passes none on. */
  isDeaf = false;
  /** Lets a client that extends to it wait for ever. */
  isTarpit = false;
  /** Answers this to all introductions. */
  lie: IntroduceAnswer | undefined;

  readonly #clock: VirtualClock;
  readonly #timer: MachineTimer;

  constructor(
    record: NodeRecord,
    { clock, crypto, random }: FakeNetwork,
  ) {
    this.record = record;
    this.#clock = clock;
    this.#timer = new MachineTimer(clock, () => this.#onTime());
    this.introductions = new IntroductionTable(crypto, random);
  }

  /** Pass introductions on, and answer those who sent them. */
  carryOut(actions: readonly TableAction<FakeCircuit>[]): void {
    for (const action of actions) {
      switch (action.type) {
        case "pass":
          if (!this.isDeaf) action.service.introduce(action.sealed);
          action.client.acknowledge({ status: "passed" });
          break;
        case "answer":
          action.client.acknowledge(action.answer);
          break;
        case "refuse":
          action.client.end();
      }
    }
    this.#timer.set(this.introductions.deadlineMs);
  }

  #onTime(): void {
    this.carryOut(this.introductions.onTime(this.#clock.nowMs()));
  }

  /** Die: all circuits over it end. */
  kill(): void {
    this.isAlive = false;
    for (const circuit of [...this.circuits]) circuit.end();
  }
}

/** The whole network. */
export class FakeNetwork {
  readonly clock: VirtualClock;
  readonly random: Random;
  readonly crypto: CryptoSuite;
  readonly relays: FakeRelay[];
  /** Stored records, newest per key and publisher. */
  readonly stored = new Map<string, Map<string, Bytes>>();
  /** Answers `dhtGet` instead of the honest store. */
  answer: ((key: Bytes) => Bytes | undefined) | undefined;
  /** Every key that was looked up. */
  readonly lookedUp: string[] = [];
  circuitsBuilt = 0;
  /** No circuit can be built while it is set. */
  isDown = false;

  constructor(
    clock: VirtualClock,
    random: Random,
    crypto: CryptoSuite,
    count = 12,
  ) {
    this.clock = clock;
    this.random = random;
    this.crypto = crypto;
    this.relays = Array.from(
      { length: count },
      (_, n) => new FakeRelay(this.#record(n), this),
    );
  }

  /** All relays sign new records. */
  renewRecords(): void {
    for (const [n, relay] of this.relays.entries()) {
      relay.record = this.#record(n);
    }
  }

  #record(n: number): NodeRecord {
    const sequence = Math.floor(this.clock.unixMs());
    return testRecord(this.crypto, 1000 + n, {
      addresses: [{ host: `10.0.0.${n + 1}`, port: 4001 }],
      sequence,
      expiry: sequence + 24 * 3_600_000,
    });
  }

  /** What one node sees of it. */
  node(): FakeCircuits {
    return new FakeCircuits(this);
  }

  relay(nodeId: NodeId): FakeRelay | undefined {
    return this.relays.find(({ record }) => equalBytes(record.nodeId, nodeId));
  }

  put(encoded: Bytes): number {
    const record = decodeStoredRecord(encoded);
    const key = record.key.toHex();
    const publishers = this.stored.get(key) ?? new Map<string, Bytes>();
    this.stored.set(key, publishers);
    const publisher = record.publisher.toHex();
    const before = publishers.get(publisher);
    if (
      before !== undefined &&
      decodeStoredRecord(before).sequence >= record.sequence
    ) return 0;
    publishers.set(publisher, encoded);
    return 3;
  }

  get(key: Bytes): Bytes | undefined {
    this.lookedUp.push(key.toHex());
    if (this.answer !== undefined) return this.answer(key);
    for (const record of this.stored.get(key.toHex())?.values() ?? []) {
      return record;
    }
    return undefined;
  }
}

/** Circuits of one node. */
export class FakeCircuits implements Circuits {
  readonly network: FakeNetwork;
  readonly open = new Set<FakeCircuit>();
  readonly wishes: CircuitWish[] = [];
  /** All circuits ever taken: what for, and over which relays. */
  readonly taken: { purpose: string; path: readonly string[] }[] = [];

  constructor(network: FakeNetwork) {
    this.network = network;
  }

  onServices(): void {}

  /** As many as a test says. */
  waiting = 0;
  pressure: Pressure = "free";
  mostBuilds: number = BUILDS.least;
  buildMs = 0;

  /** What a test says, if no circuit was built since. */
  outage: UnreachableError | undefined;
  #builtMs = -Infinity;

  get outageNow(): UnreachableError | undefined {
    return this.outage;
  }

  outageSince(sinceMs: number): UnreachableError | undefined {
    return this.#builtMs < sinceMs ? this.outage : undefined;
  }

  relays(): readonly NodeRecord[] {
    return this.network.relays.filter(({ isAlive }) => isAlive)
      .map(({ record }) => record);
  }

  async take(wish: CircuitWish): Promise<FakeCircuit> {
    const { network } = this;
    this.wishes.push(wish);
    const path = this.#draw(wish);
    await sleep(network.clock, 2 * LATENCY_MS, { signal: wish.signal });
    if (path.at(-1)?.isTarpit && wish.endAt !== undefined) {
      await raceSignal(new Promise<never>(() => {}), wish.signal);
    }
    const isDead = network.isDown || path.length === 0 ||
      path.some(({ isAlive }) => !isAlive);
    if (isDead) throw gone();
    network.circuitsBuilt++;
    this.#builtMs = network.clock.nowMs();
    this.taken.push({
      purpose: wish.purpose,
      path: path.map(({ record }) => record.nodeId.toHex()),
    });
    return new FakeCircuit(this, path);
  }

  #draw({ endAt, avoid = AVOID_NOTHING }: CircuitWish): FakeRelay[] {
    const { network } = this;
    const names = new Set(
      [...avoid.kept, ...avoid.drawn].map((nodeId) => nodeId.toHex()),
    );
    const last = endAt === undefined ? undefined : network.relay(endAt.nodeId);
    if (endAt !== undefined && last === undefined) return [];
    const others = shuffled(network.random, network.relays)
      .filter((relay) => relay.isAlive && relay !== last);
    const isAvoided = ({ record }: FakeRelay) =>
      names.has(record.nodeId.toHex());
    const path = [
      ...others.filter((relay) => !isAvoided(relay)),
      ...others.filter(isAvoided),
    ].slice(0, 3).reverse();
    return last === undefined ? path : [...path, last];
  }
}

/** One circuit, without anything in it. */
export class FakeCircuit implements ServiceCircuit {
  readonly path: readonly NodeRecord[];
  readonly binding: Bytes;
  readonly #owner: FakeCircuits;
  readonly #relays: readonly FakeRelay[];
  readonly #closed = Promise.withResolvers<void>();
  readonly #met = Promise.withResolvers<Bytes>();
  readonly #acknowledge: ((answer: IntroduceAnswer) => void)[] = [];
  #listener: ((body: Bytes) => void) | undefined;
  #partner: FakeCircuit | undefined;
  #port: CellPort | undefined;
  #early: Uint8Array[] = [];
  #isPumping = false;
  isOpen = true;
  /** Cells and pings vanish without a word. */
  isSilent = false;

  constructor(owner: FakeCircuits, relays: readonly FakeRelay[]) {
    this.#owner = owner;
    this.#relays = relays;
    this.path = relays.map(({ record }) => record);
    this.binding = owner.network.random.bytes(32);
    owner.open.add(this);
    for (const relay of relays) relay.circuits.add(this);
    this.#met.promise.catch(() => {});
  }

  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  get last(): FakeRelay {
    return this.#relays.at(-1) as FakeRelay;
  }

  get #network(): FakeNetwork {
    return this.#owner.network;
  }

  async dhtGet(key: Bytes, limit: WaitLimit): Promise<Bytes | undefined> {
    await this.#roundTrip(limit);
    return this.#network.get(key);
  }

  async dhtPut(record: Bytes, limit: WaitLimit): Promise<number> {
    await this.#roundTrip(limit);
    return this.#network.put(record);
  }

  async ask(
    type: ServiceQuestion,
    body: Bytes,
    limit: WaitLimit,
  ): Promise<Bytes> {
    await this.#wait(LATENCY_MS, limit);
    const answer = await raceSignal(this.#answer(type, body), limit.signal);
    await this.#wait(LATENCY_MS, limit);
    return answer;
  }

  async #answer(type: ServiceQuestion, body: Bytes): Promise<Bytes> {
    const nowMs = this.#network.clock.nowMs();
    switch (type) {
      case "establish_intro": {
        const { crypto } = this.#network;
        const { key, rate } = decodeEstablishIntro(crypto, body, this.binding);
        this.last.introductions.establish(key, this, rate, nowMs);
        return encodeCbor({});
      }
      case "introduce1": {
        const asker = { circuit: this, binding: this.binding };
        const wanted = decodeIntroduce1(body);
        const { introductions, lie } = this.last;
        if (lie !== undefined) return encodeIntroduceAck(lie);
        const { promise, resolve } = Promise.withResolvers<IntroduceAnswer>();
        this.#acknowledge.push(resolve);
        this.last.carryOut(introductions.introduce(wanted, asker, nowMs));
        const ended = this.#closed.promise.then(() => {
          throw gone();
        });
        return encodeIntroduceAck(await Promise.race([promise, ended]));
      }
      case "establish_rendezvous": {
        const cookie = decodeEstablishRendezvous(body);
        const result = this.last.rendezvous.establish(cookie, this, nowMs);
        if (result !== "established") this.end();
        return encodeCbor({});
      }
    }
  }

  /** As the last hop: answer the oldest introduction that has no answer. */
  acknowledge(answer: IntroduceAnswer): void {
    this.#acknowledge.shift()?.(answer);
  }

  /** As the last hop: pass an introduction on. */
  introduce(sealed: Bytes): void {
    this.#later(() => this.#listener?.(sealed));
  }

  onIntroduction(listener: (body: Bytes) => void): void {
    this.#listener = listener;
  }

  meet(body: Bytes): void {
    const { cookie, reply } = decodeRendezvous1(body);
    this.#later(() => {
      const client = this.last.rendezvous.meet(cookie);
      if (client === undefined || !client.isOpen) return this.end();
      this.#partner = client;
      client.#partner = this;
      client.#later(() => client.#met.resolve(reply));
      this.wake();
    });
  }

  met({ signal }: WaitLimit): Promise<Bytes> {
    return raceSignal(this.#met.promise, signal);
  }

  async ping(limit: WaitLimit): Promise<number> {
    await this.#roundTrip(limit);
    return 2 * LATENCY_MS;
  }

  attach(port: CellPort): void {
    this.#port = port;
    for (const cell of this.#early.splice(0)) port.onCell(cell);
    this.wake();
  }

  wake(): void {
    if (this.#isPumping || this.#port === undefined || !this.isOpen) return;
    if (this.#partner === undefined) return;
    this.#isPumping = true;
    queueMicrotask(() => this.#pump());
  }

  close(): void {
    // What is in the port's hands goes out first.
    if (this.#port !== undefined && this.#partner !== undefined) this.#pump();
    this.end();
  }

  /** The circuit is gone, for both ends. */
  end(): void {
    if (!this.isOpen) return;
    this.isOpen = false;
    this.#owner.open.delete(this);
    for (const relay of this.#relays) {
      relay.circuits.delete(this);
      relay.carryOut(relay.introductions.withdraw(this));
      relay.introductions.forget(this);
      relay.rendezvous.remove(this);
    }
    this.#closed.resolve();
    this.#met.reject(gone());
    const partner = this.#partner;
    if (partner !== undefined) {
      this.#network.clock.schedule(2 * LATENCY_MS, () => partner.end());
    }
  }

  #pump(): void {
    this.#isPumping = false;
    const partner = this.#partner;
    if (!this.isOpen || partner === undefined) return;
    for (;;) {
      const cell = new Uint8Array(SESSION_CELL_BYTES);
      if (this.#port?.fill(cell) !== true || !this.isOpen) return;
      if (this.isSilent || partner.isSilent) continue;
      this.#network.clock.schedule(2 * LATENCY_MS, () => partner.#take(cell));
    }
  }

  #take(cell: Uint8Array): void {
    if (!this.isOpen || this.isSilent) return;
    if (this.#port === undefined) this.#early.push(cell);
    else this.#port.onCell(cell);
  }

  #later(act: () => void): void {
    this.#network.clock.schedule(LATENCY_MS, () => {
      if (this.isOpen && !this.isSilent) act();
    });
  }

  #roundTrip(limit: WaitLimit): Promise<void> {
    return this.#wait(2 * LATENCY_MS, limit);
  }

  async #wait(ms: number, { signal }: WaitLimit): Promise<void> {
    signal.throwIfAborted();
    if (!this.isOpen) throw gone();
    const { clock } = this.#network;
    if (this.isSilent) await raceSignal(new Promise<never>(() => {}), signal);
    const ended = this.#closed.promise.then(() => {
      throw gone();
    });
    ended.catch(() => {});
    await Promise.race([sleep(clock, ms, { signal }), ended]);
  }
}

function gone(): UnreachableError {
  return new UnreachableError("circuit.ended", "The circuit is gone");
}
