/**
 * A whole client in memory that visits a hostile service: descriptors that it signed
 * and encrypted itself, answers where they meet, and cells of sessions.
 *
 * @module
 */
import { Identity } from "../../../lib/auth/identity.ts";
import { networkParameters } from "../../../lib/auth/network.ts";
import { type Bytes, concat } from "../../../lib/base/bytes.ts";
import { sleep } from "../../../lib/base/clock.ts";
import { AnonNetError, BugError } from "../../../lib/base/errors.ts";
import { seededRandom } from "../../../lib/base/random.ts";
import { createStoredRecord } from "../../../lib/dht/records/stored_record.ts";
import { CLIENT_IDLE_MS } from "../../../lib/node/visit/client_session.ts";
import { openIntroduction } from "../../../lib/service/meeting/introduction.ts";
import { IntroductionKeys } from "../../../lib/service/meeting/introduction_keys.ts";
import { encodeEstablishIntro } from "../../../lib/service/meeting/introduction_messages.ts";
import {
  encodeRendezvous1,
  respondToRendezvous,
} from "../../../lib/service/meeting/rendezvous.ts";
import { blindedSigner, timePeriod } from "../../../lib/service/time_period.ts";
import { decodeCbor, encodeCbor } from "../../../lib/wire/cbor.ts";
import type {
  FakeCircuit,
  FakeCircuits,
} from "../../node/circuit/fake_circuits.ts";
import {
  inServiceWorld,
  NEVER,
  type ServiceWorld,
  type TestClient,
} from "../../node/session/service_world.ts";
import {
  decodeStep,
  encodeStep,
  type FuzzInput,
  type FuzzTarget,
  promise,
} from "../fuzz_target.ts";
import { fillLive, live } from "../hostile/live_fields.ts";
import { descriptorWith } from "./service_targets.ts";
import { HostileLeg } from "../hostile/hostile_leg.ts";
import { honestCells } from "./session_targets.ts";
import { transparent } from "../hostile/transparent_suite.ts";

const KIND = { descriptor: 0, visit: 1, reply: 2, cell: 3, hangUp: 4, lie: 5 };
const KINDS = Object.keys(KIND).length;

const NETWORK = networkParameters("local");
const SEED = new Uint8Array(32).fill(5);
/** Longest that a program waits for a stream, ms. */
const PATIENCE_MS = 120_000;

/** A service that means no good, and its visitor. */
class Run {
  readonly #world: ServiceWorld;
  readonly #client: TestClient;
  readonly #circuits: FakeCircuits;
  readonly #identity: Identity;
  readonly #keys: IntroductionKeys;
  readonly #point: Bytes;
  readonly #words = new Set<string>();
  readonly #meetings: { leg: HostileLeg; circuit: FakeCircuit }[] = [];
  readonly #waiting: Promise<void>[] = [];
  #replies: Bytes[] = [];
  #revision = 0;

  private constructor(
    world: ServiceWorld,
    keys: IntroductionKeys,
    circuits: FakeCircuits,
    point: Bytes,
  ) {
    this.#world = world;
    this.#client = world.client();
    this.#identity = new Identity(world.crypto, SEED);
    this.#keys = keys;
    this.#circuits = circuits;
    this.#point = point;
  }

  /** A service that listens at one relay. */
  static async start(world: ServiceWorld): Promise<Run> {
    const keys = await IntroductionKeys.generate(world.crypto, seededRandom(3));
    const circuits = world.network.node();
    const [endAt] = circuits.relays();
    if (endAt === undefined) throw new TypeError("There is no relay");
    const run = new Run(world, keys, circuits, endAt.encoded);
    const circuit = await circuits.take({
      purpose: "introduction",
      endAt,
      signal: NEVER,
    });
    circuit.onIntroduction((sealed) => void run.#meet(sealed));
    const body = encodeEstablishIntro(keys, circuit.binding);
    await circuit.ask("establish_intro", body, { signal: NEVER });
    return run;
  }

  async play(input: FuzzInput): Promise<string> {
    for (const bytes of input) {
      const { kind, delayMs, body } = decodeStep(bytes, KINDS);
      await sleep(this.#world.clock, delayMs);
      this.#do(kind, body);
    }
    return await this.#end();
  }

  #do(kind: number, body: Bytes): void {
    switch (kind) {
      case KIND.descriptor:
        return this.#publish(body);
      case KIND.visit:
        if (this.#waiting.length < 6) this.#waiting.push(this.#visit(body));
        return;
      case KIND.reply:
        this.#replies.push(body);
        return;
      case KIND.cell: {
        const at = (body[0] ?? 0) % Math.max(1, this.#meetings.length);
        const meeting = this.#meetings[at];
        meeting?.leg.say(body.subarray(1));
        return meeting?.circuit.wake();
      }
      case KIND.hangUp:
        return this.#meetings.pop()?.circuit.end();
      default:
        for (const relay of this.#world.network.relays) relay.isDeaf = true;
    }
  }

  /** Whatever is looked up from now on is this. */
  #publish(body: Bytes): void {
    const { crypto, clock, network } = this.#world;
    const period = timePeriod(clock.unixMs());
    const { publicKey } = this.#identity;
    const signer = blindedSigner(crypto, SEED, publicKey, period);
    const sequence = ++this.#revision;
    const { authentication, staticKey, kemKey } = this.#keys.public;
    const content = fillLive(
      body,
      new Map([
        ["relay", this.#point],
        ["authentication", authentication],
        ["static", staticKey],
        ["kem", kemKey],
      ]),
    );
    const value = descriptorWith(fillNumbers(content, period, sequence));
    if (value.length > NETWORK.maxRecordValueBytes) return;
    network.answer = (key) =>
      createStoredRecord(NETWORK, signer, {
        key,
        sequence,
        expiry: Math.floor(clock.unixMs()) + 3_600_000,
        value,
      }).encoded;
  }

  async #visit(body: Bytes): Promise<void> {
    const giveUp = new AbortController();
    const timer = this.#world.clock.schedule(PATIENCE_MS, () => giveUp.abort());
    try {
      const stream = await this.#client.visits.connect(
        {
          service: this.#identity.publicKey,
          port: 80,
          isolation: `${body[0]}`,
        },
        { signal: giveUp.signal },
      );
      this.#words.add("a stream");
      giveUp.signal.addEventListener("abort", () => stream.abort());
      await stream.write(new Uint8Array(20_000));
      while (await stream.read() !== undefined) this.#words.add("bytes");
      stream.abort();
    } catch (error) {
      if (error instanceof AnonNetError && !(error instanceof BugError)) {
        this.#words.add(error.code);
      } else if (error !== giveUp.signal.reason) throw error;
    } finally {
      timer.cancel();
    }
  }

  /** The client's introduction has come: answer where it waits. */
  async #meet(sealed: Bytes): Promise<void> {
    const { crypto, clock } = this.#world;
    const { publicKey } = this.#identity;
    const { publicKey: blinded } = blindedSigner(
      crypto,
      SEED,
      publicKey,
      timePeriod(clock.unixMs()),
    );
    const opened = await openIntroduction(
      crypto,
      this.#keys,
      [blinded],
      sealed,
    );
    this.#words.add("introduced");
    const endAt = this.#circuits.relays().find(({ encoded }) =>
      encoded.toHex() === opened.rendezvous.toHex()
    );
    if (endAt === undefined || opened.handshake === undefined) return;
    const circuit = await this.#circuits.take({
      purpose: "rendezvous",
      endAt,
      signal: NEVER,
    });
    const { reply, secret } = await respondToRendezvous(
      crypto,
      seededRandom(4),
      this.#keys,
      [blinded],
      opened.cookie,
      opened.handshake,
    );
    const said = this.#replies.shift();
    const answer = said === undefined
      ? reply
      : fillLive(said, new Map([["reply", reply]]));
    const leg = new HostileLeg(crypto, secret, "service");
    circuit.attach(leg);
    circuit.meet(encodeRendezvous1(opened.cookie, answer.slice(0, 1152)));
    this.#meetings.push({ leg, circuit });
  }

  /** The service is gone: nothing of it may stay. */
  async #end(): Promise<string> {
    for (const circuit of [...this.#circuits.open]) circuit.end();
    await sleep(this.#world.clock, PATIENCE_MS + 1000);
    await Promise.all(this.#waiting);
    const { visits, log } = this.#client;
    if (visits.status.sessions > 0) {
      await sleep(this.#world.clock, CLIENT_IDLE_MS + 60_000);
    }
    const { sessions, beginning, streams } = visits.status;
    promise(
      sessions + beginning + streams === 0,
      `${sessions} sessions, ${beginning} beginnings, ${streams} streams left`,
    );
    for (const { level, message } of log.lines) {
      promise(level !== "error", `logged: ${message}`);
    }
    return [...this.#words].sort().join(" ");
  }
}

/** Period and revision are others in each run: 1 and 2 stand for them. */
function fillNumbers(content: Bytes, period: number, revision: number): Bytes {
  try {
    const map = decodeCbor(content);
    if (!(map instanceof Map)) return content;
    if (map.get("period") === 1) map.set("period", period);
    if (map.get("revision") === 2) map.set("revision", revision);
    return encodeCbor(map);
  } catch {
    return content;
  }
}

function honestRuns(): FuzzInput[] {
  const point = {
    authentication: live("authentication"),
    kem: live("kem"),
    relay: live("relay"),
    static: live("static"),
  };
  const descriptor = (points: readonly (typeof point)[]) =>
    encodeStep(
      KIND.descriptor,
      encodeCbor({ features: ["legs"], period: 1, points, revision: 2 }),
    );
  const visit = encodeStep(KIND.visit, Uint8Array.of(1), 10);
  const hangUp = encodeStep(KIND.hangUp, new Uint8Array(0), 500);
  const cells = honestCells("service").map((cell) =>
    encodeStep(KIND.cell, concat(Uint8Array.of(0), cell), 200)
  );
  const reply = encodeStep(KIND.reply, live("reply"));
  const [first = visit, ...others] = cells;
  const later = encodeStep(KIND.cell, first.subarray(3), 2000);
  return [
    [descriptor([point]), visit, later, ...others],
    [descriptor([point, point, point]), visit, visit, later, hangUp],
    [descriptor([point]), reply, visit, later, ...others],
    [visit],
    [descriptor([point]), encodeStep(KIND.lie, reply), visit],
    [descriptor([]), visit, descriptor([point]), visit],
  ];
}

/** A visitor's world as a target. */
export const VISITS_WORLD: FuzzTarget = {
  name: "node/visits",
  about:
    "a whole client: descriptors, meetings and sessions of a hostile service",
  hasSteps: true,
  allowed: [],
  cpu: { baseMs: 2500, perKibMs: 20 },
  seeds: honestRuns,
  async run(input) {
    let word = "";
    await inServiceWorld(
      async (world) => {
        word = await (await Run.start(world)).play(input);
      },
      1,
      transparent,
    );
    return word;
  },
};
