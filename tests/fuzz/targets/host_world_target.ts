/**
 * A whole service in memory, and a visitor that encrypts to it what it likes:
 * introductions, and cells of sessions that it has begun.
 *
 * @module
 */
import { type Bytes, concat } from "../../../lib/base/bytes.ts";
import { sleep } from "../../../lib/base/clock.ts";
import { BugError } from "../../../lib/base/errors.ts";
import { SERVICE_IDLE_MS } from "../../../lib/node/host/service_sessions.ts";
import { SEALED_BYTES } from "../../../lib/service/meeting/introduction.ts";
import { encodeCbor } from "../../../lib/wire/cbor.ts";
import type { FakeCircuit } from "../../node/circuit/fake_circuits.ts";
import { RawVisitor } from "../../node/session/raw_visitor.ts";
import {
  inServiceWorld,
  type ServiceWorld,
  type TestService,
} from "../../node/session/service_world.ts";
import {
  decodeStep,
  encodeStep,
  type FuzzInput,
  type FuzzTarget,
  promise,
} from "../fuzz_target.ts";
import { fillLive, live } from "../hostile/live_fields.ts";
import { HostileLeg } from "../hostile/hostile_leg.ts";
import { honestCells } from "./session_targets.ts";
import { transparent } from "../hostile/transparent_suite.ts";

const KIND = { introduce: 0, raw: 1, begin: 2, cell: 3, hangUp: 4 };
const KINDS = Object.keys(KIND).length;
/** Bytes of a sealed introduction in front of what was encrypted. */
const SEALED_HEAD = 32 + 1088;
const MAX_SESSIONS = 3;

/** One service and its visitor. */
class Run {
  readonly #world: ServiceWorld;
  readonly #service: TestService;
  readonly #visitor: RawVisitor;
  readonly #legs: { leg: HostileLeg; circuit: FakeCircuit }[] = [];
  readonly #words = new Set<string>();

  constructor(world: ServiceWorld, service: TestService, visitor: RawVisitor) {
    this.#world = world;
    this.#service = service;
    this.#visitor = visitor;
  }

  async play(input: FuzzInput): Promise<string> {
    for (const bytes of input) {
      const { kind, delayMs, body } = decodeStep(bytes, KINDS);
      await sleep(this.#world.clock, delayMs);
      try {
        await this.#do(kind, body);
      } catch (error) {
        // Whatever the visitor's own half runs into.
        if (error instanceof BugError || !(error instanceof Error)) throw error;
        this.#words.add(error.name);
      }
    }
    return await this.#end();
  }

  async #do(kind: number, body: Bytes): Promise<void> {
    switch (kind) {
      case KIND.introduce:
        return await this.#introduce(body);
      case KIND.raw: {
        const sealed = new Uint8Array(SEALED_BYTES);
        sealed.set(body.subarray(0, SEALED_BYTES));
        this.#words.add(await this.#visitor.send(sealed));
        return;
      }
      case KIND.begin:
        return await this.#begin(body[0]);
      case KIND.cell: {
        const at = (body[0] ?? 0) % Math.max(1, this.#legs.length);
        const { leg, circuit } = this.#legs[at] ?? await this.#first();
        leg.say(body.subarray(1));
        circuit.wake();
        return;
      }
      default:
        this.#legs.pop()?.circuit.end();
    }
  }

  async #begin(port = 80): Promise<void> {
    if (this.#legs.length >= MAX_SESSIONS) return;
    const { secret, circuit } = await this.#visitor.beginSilently(
      port === 0 ? undefined : port,
    );
    const leg = new HostileLeg(this.#world.crypto, secret, "client");
    circuit.attach(leg);
    this.#legs.push({ leg, circuit });
  }

  async #first() {
    await this.#begin();
    const [first] = this.#legs;
    if (first === undefined) throw new TypeError("There is no session");
    return first;
  }

  async #introduce(body: Bytes): Promise<void> {
    const { circuit, cookie, rendezvous } = await this.#visitor.wait();
    const { request } = await this.#visitor.handshake(cookie);
    const content = fillLive(
      body,
      new Map([["cookie", cookie], ["point", rendezvous], [
        "request",
        request,
      ]]),
    );
    const sealed = await this.#visitor.seal({
      cookie,
      rendezvous,
      handshake: request,
    });
    sealed.fill(0, SEALED_HEAD, -16);
    sealed.set(
      Uint8Array.of(content.length >> 8, content.length & 0xff),
      SEALED_HEAD,
    );
    sealed.set(content.subarray(0, 3070), SEALED_HEAD + 2);
    this.#words.add(await this.#visitor.send(sealed));
    await sleep(this.#world.clock, 500);
    this.#words.add(`sessions ${this.#service.driver.status.sessions}`);
    circuit.end();
  }

  /** The visitor is gone: nothing of it may stay. */
  async #end(): Promise<string> {
    const { sessions, streams } = this.#service.driver.status;
    this.#words.add(`${Math.min(sessions, 3)} ${Math.min(streams, 3)}`);
    for (const circuit of [...this.#visitor.circuits.open]) circuit.end();
    const { driver, log } = this.#service;
    await sleep(this.#world.clock, 70_000);
    if (driver.status.sessions > 0) {
      await sleep(this.#world.clock, SERVICE_IDLE_MS);
    }
    const left = driver.status;
    promise(
      left.sessions === 0 && left.streams === 0,
      `${left.sessions} sessions and ${left.streams} streams are left`,
    );
    for (const { level, message } of log.lines) {
      promise(level !== "error", `logged: ${message}`);
    }
    return [...this.#words].sort().join(" ");
  }
}

function honestRuns(): FuzzInput[] {
  const none = new Uint8Array(0);
  const introduction = (more: Record<string, number | Bytes>) =>
    encodeStep(
      KIND.introduce,
      encodeCbor({
        cookie: live("cookie"),
        rendezvous: live("point"),
        ...more,
      }),
      100,
    );
  const handshake = live("request");
  const ticket = encodeStep(
    KIND.introduce,
    encodeCbor({
      cookie: live("cookie"),
      rendezvous: live("point"),
      ticket: {
        leg: 1,
        proof: new Uint8Array(32),
        session: new Uint8Array(16),
      },
    }),
  );
  const begin = encodeStep(KIND.begin, Uint8Array.of(80), 100);
  const cells = honestCells("client").map((cell) =>
    encodeStep(KIND.cell, concat(Uint8Array.of(0), cell), 50)
  );
  return [
    [introduction({ handshake, port: 80 }), introduction({ handshake })],
    [introduction({ handshake, port: 81 }), ticket],
    [begin, ...cells],
    [
      begin,
      cells[0] ?? begin,
      cells[3] ?? begin,
      encodeStep(KIND.hangUp, none),
    ],
    [encodeStep(KIND.begin, none), begin, ...cells.slice(0, 5)],
    [encodeStep(KIND.raw, new Uint8Array(100))],
  ];
}

/** A service's world as a target. */
export const HOST_WORLD: FuzzTarget = {
  name: "node/host",
  about:
    "a whole service: introductions and sessions of a visitor that holds their keys",
  hasSteps: true,
  allowed: [],
  cpu: { baseMs: 2500, perKibMs: 20 },
  seeds: honestRuns,
  async run(input) {
    let word = "";
    await inServiceWorld(
      async (world) => {
        const service = await world.readyService();
        const visitor = await RawVisitor.of(world, service.publicKey);
        word = await new Run(world, service, visitor).play(input);
      },
      1,
      transparent,
    );
    return word;
  },
};
