/**
 * A flood of introductions by a flooder with many processors, against a service
 * that has honest visitors: the real service, the real visitors and the real
 * gates at introduction points, over circuits that cost nothing.
 *
 *     without work   10,000 per second, on a circuit each
 *     with work      as many as the attacker's processors pay for, by a strategy
 *     visitors       two per second, each with one processor
 *
 * Hashes of work are those of a quick mixing function, and the attacker is told
 * theirs: what they cost is taken off a budget.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { PublicKey } from "../../lib/auth/identity.ts";
import type { Bytes } from "../../lib/base/bytes.ts";
import { type Clock, sleep } from "../../lib/base/clock.ts";
import type { CryptoSuite } from "../../lib/crypto/suite.ts";
import {
  REST_MS,
  SLICE_HASHES,
} from "../../lib/node/visit/meeting_introduction.ts";
import { Visits } from "../../lib/node/visit/visits.ts";
import { SEALED_BYTES } from "../../lib/service/meeting/introduction.ts";
import type { IntroduceAnswer } from "../../lib/service/meeting/introduction_messages.ts";
import type {
  Work,
  WorkDemand,
} from "../../lib/service/meeting/introduction_work.ts";
import type { FakeCircuit, FakeRelay } from "../node/circuit/fake_circuits.ts";
import { RawVisitor } from "../node/session/raw_visitor.ts";
import {
  NEVER,
  type ServiceWorld,
  type TestService,
} from "../node/session/service_world.ts";

/** Time that a slice of hashes takes a visitor, ms: that of a small computer. */
const SLICE_MS = 8;
/** Hashes per second of a visitor, and of each of the attacker's processors. */
const HASHES_PER_SECOND = SLICE_HASHES / SLICE_MS * 1000;
/** Introductions without work, per second of virtual time. */
const FLOOD_PER_SECOND = 10_000;
const TICK_MS = 10;
/** Of the introductions with work, one in so many is well-formed. */
const WELL_FORMED = 10;

/** The nonce that is right for every puzzle, for those who have paid otherwise. */
const PAID = new Uint8Array(16).fill(0xaa);

/** A suite whose hash of work is quick, and evenly spread. */
export function quickWork(suite: CryptoSuite): CryptoSuite {
  return {
    ...suite,
    sha256: (...parts) => {
      const [puzzle, effort, nonce] = parts;
      const isWork = puzzle?.length === 32 && effort?.length === 4 &&
        nonce?.length === 16;
      return isWork ? mix(puzzle, nonce) : suite.sha256(...parts);
    },
  };
}

function mix(puzzle: Uint8Array, nonce: Uint8Array): Bytes {
  const digest = new Uint8Array(8);
  if (nonce[0] === PAID[0] && nonce[15] === PAID[15]) return digest;
  let state = 0x811c9dc5;
  for (let n = 0; n < 12; n++) {
    state = Math.imul(state ^ (puzzle[n] ?? 0), 0x01000193);
    state = Math.imul(state ^ (nonce[n] ?? 0), 0x01000193);
  }
  for (let n = 0; n < 8; n++) {
    state = Math.imul(state ^ (state >>> 15), 0x2c1b3c6d + n);
    state ^= state >>> 13;
    digest[n] = state >>> 11;
  }
  return digest;
}

/** How the attacker spends what it computes. */
export type Strategy =
  /** What a visitor would do, over and over. */
  | "pays the price"
  /** Four times the price, as often as it can. */
  | "pays more"
  /** The least there is, as often as it can. */
  | "pays little"
  /** Saves up for as long as seeds last, and spends it all at once. */
  | "saves up";

/** How many of the visitors got through, and what it took. */
export interface FloodReport {
  readonly visitors: number;
  readonly arrived: number;
  /** Median and longest time until a stream was open, of those who arrived, ms. */
  readonly medianMs: number;
  readonly longestMs: number;
  /** Introductions that came to the points, and those that they passed on. */
  readonly sent: number;
  readonly passed: number;
  /** Introductions that the service did not answer, for want of time. */
  readonly shed: number;
}

/** A flooder of the points of one service. */
class Attacker {
  readonly #world: ServiceWorld;
  readonly #points: readonly { relay: FakeRelay; key: PublicKey }[];
  readonly #strategy: Strategy;
  readonly #hashesPerSecond: number;
  readonly #wellFormed: Bytes[][];
  readonly #garbage = new Uint8Array(SEALED_BYTES);
  #hashes = 0;
  #number = 0;
  sent = 0;
  passed = 0;

  constructor(
    world: ServiceWorld,
    points: readonly { relay: FakeRelay; key: PublicKey }[],
    wellFormed: Bytes[][],
    strategy: Strategy,
    hashesPerSecond: number,
  ) {
    this.#world = world;
    this.#points = points;
    this.#wellFormed = wellFormed;
    this.#strategy = strategy;
    this.#hashesPerSecond = hashesPerSecond;
  }

  /** Go on for some time. */
  async run(forMs: number): Promise<void> {
    const { clock } = this.#world;
    const untilMs = clock.nowMs() + forMs;
    for (let tick = 0; clock.nowMs() < untilMs; tick++) {
      const count = FLOOD_PER_SECOND * TICK_MS / 1000;
      for (let n = 0; n < count; n++) this.#send(n % this.#points.length);
      this.#hashes += this.#hashesPerSecond * TICK_MS / 1000;
      const isSaving = this.#strategy === "saves up" && tick % 2_000 !== 1_999;
      if (!isSaving) this.#spend();
      await sleep(clock, TICK_MS);
    }
  }

  /** Introductions with work, as many as have been paid for. */
  #spend(): void {
    for (let turn = this.#number, n = 0; n < 400; n++) {
      const index = (turn + n) % this.#points.length;
      const { circuit, demand } = this.#send(index);
      if (demand === undefined) continue;
      const effort = this.#effort(demand);
      if (effort > this.#hashes) return;
      this.#hashes -= effort;
      this.#number++;
      const isWellFormed = this.#number % WELL_FORMED === 0;
      const sealed = isWellFormed ? this.#wellFormed[index]?.pop() : undefined;
      this.#send(index, { circuit, sealed, work: { effort, nonce: PAID } });
    }
  }

  #effort({ effort }: WorkDemand): number {
    switch (this.#strategy) {
      case "pays more":
        return Math.min(2 ** 22, 4 * effort);
      case "pays little":
        return 256;
      case "pays the price":
      case "saves up":
        return effort;
    }
  }

  /** One introduction; on a circuit of its own, unless it comes again. */
  #send(
    index: number,
    again?: { circuit: FakeCircuit; sealed: Bytes | undefined; work: Work },
  ): { circuit: FakeCircuit; demand: WorkDemand | undefined } {
    const point = this.#points[index];
    assert.ok(point !== undefined);
    const { relay, key } = point;
    let demand: WorkDemand | undefined;
    this.sent++;
    const forget = () => {
      relay.carryOut(relay.introductions.withdraw(circuit));
      relay.introductions.forget(circuit);
    };
    const fake: Pick<FakeCircuit, "acknowledge" | "end"> = {
      acknowledge: (answer: IntroduceAnswer) => {
        if (answer.status === "passed") this.passed++;
        if (answer.status === "work") demand = answer.demand;
        if (answer.status !== "work" || again !== undefined) forget();
      },
      end: () => {},
    };
    const circuit = again?.circuit ?? fake as FakeCircuit;
    if (again !== undefined) Object.assign(circuit, fake);
    const binding = this.#garbage.subarray(0, 32);
    const actions = relay.introductions.introduce(
      {
        authentication: key,
        sealed: again?.sealed ?? this.#unique(),
        work: again?.work,
      },
      { circuit, binding },
      this.#world.clock.nowMs(),
    );
    relay.carryOut(actions);
    return { circuit, demand };
  }

  /** Of the right length, and never seen before. */
  #unique(): Bytes {
    const bytes = new Uint8Array(this.#garbage);
    new DataView(bytes.buffer).setUint32(0, this.sent);
    return bytes;
  }
}

/** Flood a service for some time, and count the visitors who get through. */
export async function flood(
  world: ServiceWorld,
  service: TestService,
  strategy: Strategy,
  processors: number,
  forMs: number,
): Promise<FloodReport> {
  const { clock, network } = world;
  const visitor = await RawVisitor.of(world, service.publicKey);
  const tarpit = network.relays.find(({ introductions }) =>
    introductions.size === 0
  );
  assert.ok(tarpit !== undefined);
  tarpit.isTarpit = true;
  const keys = visitor.authentications;
  const points = keys.map((key, index) => {
    const relay = network.relay(visitor.relayId(index));
    assert.ok(relay !== undefined);
    return { relay, key };
  });
  const attacker = new Attacker(
    world,
    points,
    await Promise.all(points.map((_, n) => wellFormed(visitor, tarpit, n))),
    strategy,
    processors * HASHES_PER_SECOND,
  );
  const tookMs: number[] = [];
  let visitors = 0;
  const visits: Promise<void>[] = [];
  const visit = async () => {
    visitors++;
    const startMs = clock.nowMs();
    const context = { ...world.context(), clock: slow(clock) };
    const driver = new Visits({ context });
    try {
      const stream = await driver.connect({
        service: service.publicKey,
        port: 80,
        isolation: undefined,
      }, { signal: NEVER });
      await stream.opened;
      tookMs.push(clock.nowMs() - startMs);
    } catch {
      // It is not counted.
    } finally {
      await driver[Symbol.asyncDispose]();
    }
  };
  const flooding = attacker.run(forMs);
  const untilMs = clock.nowMs() + forMs;
  while (clock.nowMs() < untilMs) {
    await sleep(clock, 500);
    visits.push(visit());
  }
  await flooding;
  await Promise.all(visits);
  tookMs.sort((a, b) => a - b);
  return {
    visitors,
    arrived: tookMs.length,
    medianMs: tookMs[tookMs.length >> 1] ?? Infinity,
    longestMs: tookMs.at(-1) ?? Infinity,
    sent: attacker.sent,
    passed: attacker.passed,
    shed: service.driver.status.shed,
  };
}

/** The clock of a visitor, who rests after each slice for as long as it takes. */
function slow(clock: Clock): Clock {
  return {
    nowMs: () => clock.nowMs(),
    unixMs: () => clock.unixMs(),
    schedule: (delayMs, wake) =>
      clock.schedule(delayMs === REST_MS ? SLICE_MS : delayMs, wake),
  };
}

/** Introductions that cost the service a circuit to a relay that never answers. */
async function wellFormed(
  visitor: RawVisitor,
  { record }: FakeRelay,
  index: number,
): Promise<Bytes[]> {
  const sealed: Bytes[] = [];
  for (let n = 0; n < 30; n++) {
    const cookie = new Uint8Array(20).fill(n);
    const { request } = await visitor.handshake(cookie, index);
    const rendezvous = record.encoded;
    const introduction = { cookie, rendezvous, handshake: request };
    sealed.push(await visitor.seal(introduction, index));
  }
  return sealed;
}
