import assert from "node:assert/strict";
import { concat } from "../../../lib/base/bytes.ts";
import { raceSignal, sleep } from "../../../lib/base/clock.ts";
import { UnreachableError } from "../../../lib/base/errors.ts";
import { seededRandom } from "../../../lib/base/random.ts";
import {
  createStoredRecord,
  decodeStoredRecord,
} from "../../../lib/dht/records/stored_record.ts";
import { networkParameters } from "../../../lib/auth/network.ts";
import { PARK_MS } from "../../../lib/service/leg_plan.ts";
import { SERVICE_IDLE_MS } from "../../../lib/node/host/service_sessions.ts";
import { CLIENT_IDLE_MS } from "../../../lib/node/visit/client_session.ts";
import { OUTAGE_WAIT_MS } from "../../../lib/node/visit/outage_watch.ts";
import { VisitGateway } from "../../../lib/node/visit/visit_gateway.ts";
import type { StreamHandler } from "../../../lib/node/host/stream_target.ts";
import { formatServiceHost } from "../../../lib/service/address.ts";
import type { IntroduceAnswer } from "../../../lib/service/meeting/introduction_messages.ts";
import {
  LEAST_EFFORT,
  MAX_EFFORT,
} from "../../../lib/service/meeting/introduction_work.ts";
import {
  CLIENT_KEY_BYTES,
  clientPublicKey,
} from "../../../lib/service/client_authorisation.ts";
import { blindedSigner, timePeriod } from "../../../lib/service/time_period.ts";
import { RESET_CODE } from "../../../lib/session/stream.ts";
import { echo } from "../../support/stream_handlers.ts";
import { LATENCY_MS } from "../circuit/fake_circuits.ts";
import {
  exchange,
  inServiceWorld,
  MINUTE,
  NEVER,
  readAll,
  type ServiceWorld,
  type TestClient,
  type TestService,
} from "../session/service_world.ts";

const pattern = (length: number, seed = 1) => seededRandom(seed).bytes(length);

function connect(
  client: TestClient,
  { publicKey }: Pick<TestService, "publicKey">,
  options: { port?: number; isolation?: string; signal?: AbortSignal } = {},
) {
  const { port = 80, isolation, signal = NEVER } = options;
  return client.visits.connect({ service: publicKey, port, isolation }, {
    signal,
  });
}

Deno.test("Visits reaches a service, and bytes come back from it", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    const client = world.client();
    const stream = await connect(client, service);
    await stream.opened;
    const bytes = pattern(300_000);
    assert.deepEqual(await exchange(stream, bytes), bytes);
  }));

Deno.test("Visits is at a service it never heard of within few round trips", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    const client = world.client();
    const startMs = world.clock.nowMs();
    const stream = await connect(client, service);
    await stream.opened;
    // The way to the service and back takes 4 × LATENCY_MS.
    const roundTrips = (world.clock.nowMs() - startMs) / (4 * LATENCY_MS);
    assert.ok(roundTrips <= 3.25, `${roundTrips} round trips`);
    stream.abort();
  }));

Deno.test("Visits opens a further stream without a round trip", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    const client = world.client();
    const first = await connect(client, service);
    await first.opened;
    const built = world.network.circuitsBuilt;
    assert.equal(client.visits.status.sessions, 1);
    const startMs = world.clock.nowMs();
    const second = await connect(client, service);
    assert.equal(world.clock.nowMs(), startMs);
    await second.write(pattern(10));
    assert.deepEqual(await second.read(), pattern(10));
    assert.equal(world.clock.nowMs() - startMs, 4 * LATENCY_MS);
    assert.equal(world.network.circuitsBuilt, built);
    first.abort();
    second.abort();
  }));

Deno.test("Visits begins one session for all who ask at once", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    const client = world.client();
    const streams = await Promise.all(
      Array.from({ length: 50 }, () => connect(client, service)),
    );
    const bytes = streams.map((_, n) => pattern(2000, n));
    const back = await Promise.all(
      streams.map((stream, n) => exchange(stream, bytes[n] ?? pattern(0))),
    );
    assert.deepEqual(back, bytes);
    assert.equal(client.visits.status.sessions, 1);
    assert.equal(service.driver.status.sessions, 1);
  }));

/** What callers are told while no guard answers. */
const OUTAGE = new UnreachableError("path.guards_down", "No guard answers");

Deno.test("Visits tells a caller after 15 s why no circuit can be built, and serves the next one when they can", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    const client = world.client();
    client.circuits.outage = OUTAGE;
    world.network.isDown = true;
    const startMs = world.clock.nowMs();
    await assert.rejects(connect(client, service), OUTAGE);
    assert.ok(world.clock.nowMs() - startMs <= OUTAGE_WAIT_MS);
    world.network.isDown = false;
    const stream = await connect(client, service);
    await stream.opened;
    stream.abort();
  }));

Deno.test("Visits tells a caller whose circuits failed what is known of them, also where some were built", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    const client = world.client();
    world.network.isDown = true;
    // Some are built, so that a caller is not told in the meantime.
    client.circuits.outageSince = () => undefined;
    client.circuits.outage = OUTAGE;
    await assert.rejects(connect(client, service), OUTAGE);
  }));

Deno.test("Visits gives up a new stream whose session has no leg left, and leaves those that run", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    const client = world.client();
    const running = await connect(client, service);
    await running.write(pattern(10));
    await running.read();
    const kept = await connect(client, service);
    await kept.write(pattern(10));
    await kept.read();
    client.circuits.outage = OUTAGE;
    world.network.isDown = true;
    for (const circuit of [...client.circuits.open]) circuit.close();
    const waiting = await connect(client, service);
    kept.awaitAnswer();
    const startMs = world.clock.nowMs();
    await assert.rejects(waiting.opened, OUTAGE);
    await assert.rejects(kept.read(), OUTAGE);
    assert.equal(world.clock.nowMs() - startMs, OUTAGE_WAIT_MS);
    assert.equal(client.visits.status.streams, 1);
    running.abort();
  }));

/** The same behind ports 80 and 81. */
const twoPorts = (handle: StreamHandler) =>
  new Map([80, 81].map((port) => [port, { type: "handler", handle } as const]));

Deno.test("Visits gives the stream that it asked for to the caller that still wants that port", () =>
  inServiceWorld(async (world) => {
    let opened = 0;
    const handle: StreamHandler = async (stream) => {
      opened++;
      await echo(stream, NEVER);
    };
    const service = await world.readyService({ targets: twoPorts(handle) });
    const client = world.client();
    const stop = new AbortController();
    const { signal } = stop;
    const given = connect(client, service, { port: 80, signal });
    const others = [81, 80, 80].map((port) =>
      connect(client, service, { port })
    );
    await sleep(world.clock, 30);
    stop.abort(new Error("enough"));
    await assert.rejects(given, /enough/);
    for (const [n, other] of others.entries()) {
      const bytes = pattern(2000, n);
      assert.deepEqual(await exchange(await other, bytes), bytes);
    }
    assert.equal(opened, 3);
    await sleep(world.clock, 1000);
    assert.equal(service.driver.status.streams, 0);
  }));

Deno.test("Visits takes the stream that it asked for back when no caller wants it", () =>
  inServiceWorld(async (world) => {
    const ends: unknown[] = [];
    const handle: StreamHandler = async (stream) => {
      stream.accept();
      ends.push(await stream.closed);
    };
    const service = await world.readyService({ targets: twoPorts(handle) });
    const client = world.client();
    const stop = new AbortController();
    const { signal } = stop;
    const given = connect(client, service, { port: 80, signal });
    const kept = connect(client, service, { port: 81 });
    await sleep(world.clock, 30);
    stop.abort(new Error("enough"));
    await assert.rejects(given, /enough/);
    const stream = await kept;
    await stream.opened;
    assert.equal(client.visits.status.streams, 2);
    await sleep(world.clock, 5_000);
    assert.equal(client.visits.status.streams, 1);
    assert.equal(service.driver.status.streams, 1);
    assert.deepEqual(ends, [{ how: "reset", code: RESET_CODE.cancelled }]);
    stream.abort();
  }));

Deno.test("Visits keeps isolation keys apart: no circuit, no session is shared", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    const client = world.client();
    const keys = [undefined, "", "-", "a", "b"];
    const streams = await Promise.all(
      keys.map((isolation) =>
        connect(client, service, isolation === undefined ? {} : { isolation })
      ),
    );
    await Promise.all(streams.map(({ opened }) => opened));
    assert.equal(client.visits.status.sessions, keys.length);
    assert.equal(service.driver.status.sessions, keys.length);
    for (const stream of streams) stream.abort();
  }));

Deno.test("Visits.connect() leaves the session to the others when one gives up", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    const client = world.client();
    const stop = new AbortController();
    const given = connect(client, service, { signal: stop.signal });
    const kept = connect(client, service);
    await sleep(world.clock, 100);
    const reason = new Error("enough");
    stop.abort(reason);
    await assert.rejects(given, reason);
    const stream = await kept;
    await stream.opened;
    stream.abort();
  }));

Deno.test("Visits.connect() leaves nothing behind when all give up, at any moment", async () => {
  for (let ms = 0; ms < 1000; ms += 70) {
    await inServiceWorld(async (world) => {
      const service = await world.readyService();
      const client = world.client();
      const stop = new AbortController();
      const given = connect(client, service, { signal: stop.signal });
      given.catch(() => {});
      await sleep(world.clock, ms);
      stop.abort(new Error("enough"));
      const stream = await given.catch(() => undefined);
      await sleep(world.clock, MINUTE);
      if (stream === undefined) assert.equal(client.circuits.open.size, 0);
      // The caller that comes next is not turned away.
      const next = await connect(client, service);
      await next.opened;
      next.abort();
      stream?.abort();
    });
  }
});

Deno.test("Visits asks all four places over two circuits before it says that no service is there", () =>
  inServiceWorld(async (world) => {
    const client = world.client();
    const publicKey = world.crypto.signer(pattern(32)).publicKey;
    await assert.rejects(connect(client, { publicKey }), {
      name: "UnreachableError",
      code: "service.not_found",
    });
    const { lookedUp } = world.network;
    assert.equal(lookedUp.length, 8);
    assert.equal(new Set(lookedUp).size, 4);
    const directory = client.circuits.wishes.filter(({ purpose }) =>
      purpose === "directory"
    );
    assert.equal(directory.length, 2);
    assert.equal(client.circuits.open.size, 0);
  }));

Deno.test("Visits says that the network is away when it is", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    const client = world.client();
    world.network.isDown = true;
    await assert.rejects(connect(client, service), {
      code: "service.unreachable",
    });
  }));

/** What a hostile DHT may answer instead of the descriptor of key 1. */
const LIES: Record<
  string,
  (world: ServiceWorld, honest: Uint8Array) => Promise<Uint8Array>
> = {
  "garbage": () => Promise.resolve(pattern(3000)),
  "nothing": () => Promise.resolve(new Uint8Array(0)),
  "an oversized record": () => Promise.resolve(new Uint8Array(60_000)),
  "an altered record": (_world, honest) => {
    const altered = new Uint8Array(honest);
    altered[2000] = (altered[2000] ?? 0) ^ 1;
    return Promise.resolve(altered);
  },
  "a record cut short": (_world, honest) =>
    Promise.resolve(honest.subarray(0, -1)),
  "the descriptor of another address": async (world) => {
    await world.readyService({}, 2);
    const other = world.crypto.signer(new Uint8Array(32).fill(2)).publicKey;
    return anyDescriptor(world, other);
  },
  "another service's record under the right key": (world, honest) => {
    const { key, value, expiry, sequence } = decodeStoredRecord(honest);
    const signer = world.crypto.signer(pattern(32));
    const forged = createStoredRecord(networkParameters("local"), signer, {
      key,
      value,
      expiry,
      sequence,
    });
    return Promise.resolve(forged.encoded);
  },
  "a descriptor that expired longer ago than clocks are wrong": (
    world,
    honest,
  ) => {
    const seed = new Uint8Array(32).fill(1);
    const { publicKey } = world.crypto.signer(seed);
    const period = timePeriod(world.clock.unixMs());
    const signer = blindedSigner(world.crypto, seed, publicKey, period);
    const { key, value, sequence } = decodeStoredRecord(honest);
    const expiry = Math.floor(world.clock.unixMs()) - 6 * 3_600_000 - 1;
    const content = { key, value, sequence, expiry };
    const network = networkParameters("local");
    return Promise.resolve(
      createStoredRecord(network, signer, content).encoded,
    );
  },
  "the value of another period, signed for this one": (world, honest) => {
    // Only the service itself could: its own mistake must not pass either.
    const { key, expiry, sequence } = decodeStoredRecord(honest);
    const seed = new Uint8Array(32).fill(1);
    const { publicKey } = world.crypto.signer(seed);
    const period = timePeriod(world.clock.unixMs());
    const signer = blindedSigner(world.crypto, seed, publicKey, period);
    const others = [...world.network.stored.values()].flatMap((records) =>
      [...records.values()].map(decodeStoredRecord)
    );
    const other = others.find(({ publisher }) =>
      publisher.toHex() !== signer.publicKey.toHex()
    );
    assert.ok(other !== undefined, "the next period is published too");
    const { value } = other;
    const forged = createStoredRecord(networkParameters("local"), signer, {
      key,
      value,
      expiry,
      sequence,
    });
    return Promise.resolve(forged.encoded);
  },
};

function anyDescriptor(world: ServiceWorld, service: Uint8Array): Uint8Array {
  const period = timePeriod(world.clock.unixMs());
  for (const key of [1, 2]) {
    const seed = new Uint8Array(32).fill(key);
    const { publicKey } = world.crypto.signer(seed);
    if (publicKey.toHex() !== service.toHex()) continue;
    const signer = blindedSigner(world.crypto, seed, publicKey, period);
    for (const records of world.network.stored.values()) {
      const found = records.get(signer.publicKey.toHex());
      if (found !== undefined) return found;
    }
  }
  assert.fail("no such descriptor");
}

for (const [what, lie] of Object.entries(LIES)) {
  Deno.test(`Visits does not use ${what} in place of a descriptor`, () =>
    inServiceWorld(async (world) => {
      const service = await world.readyService();
      await sleep(world.clock, 2 * MINUTE); // the next period follows the first
      const client = world.client();
      const false_ = new Uint8Array(
        await lie(world, anyDescriptor(world, service.publicKey)),
      );
      world.network.answer = () => false_;
      await assert.rejects(connect(client, service), {
        name: "ProtocolError",
        code: "service.descriptor_invalid",
      });
      // One honest place among the liars is enough.
      let asked = 0;
      world.network.answer = (key) => {
        if (++asked % 4 !== 0) return false_;
        for (
          const record of world.network.stored.get(key.toHex())?.values() ?? []
        ) {
          return record;
        }
        return undefined;
      };
      const stream = await connect(client, service);
      await stream.opened;
      stream.abort();
    }));
}

Deno.test("Visits refuses a descriptor that is older than one it has seen", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    const old = new Map(
      [...world.network.stored].map((
        [key, records],
      ) => [key, new Map(records)]),
    );
    await sleep(world.clock, 3 * 3_600_000 - MINUTE); // it has not expired
    const client = world.client();
    const first = await connect(client, service);
    await first.opened;
    first.abort();
    await sleep(world.clock, CLIENT_IDLE_MS + 31 * MINUTE);
    world.clock.jumpUnix(-3 * 3_600_000); // a clock that runs behind keeps it alive
    world.network.answer = (key) => {
      for (const record of old.get(key.toHex())?.values() ?? []) return record;
      return undefined;
    };
    await assert.rejects(connect(client, service), {
      code: "service.descriptor_invalid",
    });
    // A client that never saw the newer one is at the mercy of its lifetime alone.
    const newcomer = world.client();
    const outcome = await connect(newcomer, service).then(
      (stream) => stream.abort(),
      (error) => error.code,
    );
    assert.notEqual(outcome, "service.descriptor_invalid");
  }));

Deno.test("Visits needs the key of an authorised client, and says what is wrong without", () =>
  inServiceWorld(async (world) => {
    const secret = pattern(CLIENT_KEY_BYTES);
    const service = await world.readyService({
      clients: [clientPublicKey(world.crypto, secret)],
    });
    await assert.rejects(connect(world.client(), service), {
      name: "ConfigError",
      code: "service.authorisation_missing",
    });
    const wrong = world.client({
      clientSecrets: () => pattern(CLIENT_KEY_BYTES, 9),
    });
    await assert.rejects(connect(wrong, service), {
      name: "ConfigError",
      code: "service.authorisation_wrong",
    });
    const right = world.client({ clientSecrets: () => secret });
    const stream = await connect(right, service);
    assert.deepEqual(await exchange(stream, pattern(5)), pattern(5));
  }));

Deno.test("Visits goes by another introduction point when some fail", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    const listening = world.network.relays.filter(({ introductions }) =>
      introductions.size > 0
    );
    assert.equal(listening.length, 3);
    const [dead, deaf] = listening;
    for (const circuit of [...dead?.circuits ?? []]) {
      if (circuit.last === dead) dead?.introductions.withdraw(circuit);
    }
    if (deaf !== undefined) deaf.isDeaf = true;
    for (let n = 0; n < 6; n++) {
      const client = world.client();
      const stream = await connect(client, service);
      await stream.opened;
      stream.abort();
    }
  }));

Deno.test("Visits goes by another introduction point when some demand work without end, or too much", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    const [greedy, insatiable] = world.network.relays.filter((
      { introductions },
    ) => introductions.size > 0);
    assert.ok(greedy !== undefined && insatiable !== undefined);
    const seed = pattern(32);
    const lie = (effort: number): IntroduceAnswer => ({
      status: "work",
      demand: { seed, effort },
    });
    greedy.lie = lie(MAX_EFFORT + 1);
    insatiable.lie = lie(LEAST_EFFORT);
    for (let n = 0; n < 6; n++) {
      const startMs = world.clock.nowMs();
      const stream = await connect(world.client(), service);
      await stream.opened;
      stream.abort();
      assert.ok(world.clock.nowMs() - startMs < 5_000);
    }
  }));

Deno.test("Visits says that a service was asked and did not answer", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    for (const relay of world.network.relays) relay.isDeaf = true;
    await assert.rejects(connect(world.client(), service), {
      code: "service.introduction_timeout",
    });
  }));

Deno.test("Visits finds the new introduction points of a service that it knows", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    const client = world.client();
    const first = await connect(client, service);
    await first.opened;
    first.abort();
    await sleep(world.clock, CLIENT_IDLE_MS + 1000);
    assert.equal(client.visits.status.sessions, 0);
    for (const circuit of service.circuits.open) circuit.end();
    await sleep(world.clock, 20_000);
    const second = await connect(client, service);
    await second.opened;
    second.abort();
  }));

Deno.test("Visits begins new sessions for every isolation key after a new identity, and streams go on", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    const client = world.client();
    const running = await Promise.all(
      [undefined, "a"].map((isolation) =>
        connect(client, service, { ...isolation && { isolation } })
      ),
    );
    for (const stream of running) await stream.opened;
    assert.equal(client.visits.status.sessions, 2);
    client.visits.newIdentity();
    for (const isolation of [undefined, "a"]) {
      const stream = await connect(client, service, {
        ...isolation && { isolation },
      });
      assert.deepEqual(await exchange(stream, pattern(10)), pattern(10));
    }
    assert.equal(client.visits.status.sessions, 4);
    // Those of before still carry what they carried, and end with it.
    for (const stream of running) {
      assert.deepEqual(await exchange(stream, pattern(9000)), pattern(9000));
    }
    await sleep(world.clock, 1000);
    assert.equal(client.visits.status.sessions, 2);
    // The new ones are there for further streams.
    await connect(client, service, { isolation: "a" });
    assert.equal(client.visits.status.sessions, 2);
  }));

Deno.test("Visits gives a session that was being begun to those who waited, and to no new stream", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    const client = world.client();
    const waiting = connect(client, service);
    await sleep(world.clock, LATENCY_MS);
    client.visits.newIdentity();
    const later = connect(client, service);
    assert.equal(client.visits.status.beginning, 2);
    const streams = [await waiting, await later];
    assert.equal(client.visits.status.sessions, 2);
    for (const stream of streams) {
      assert.deepEqual(await exchange(stream, pattern(10)), pattern(10));
    }
    await sleep(world.clock, 1000);
    assert.equal(client.visits.status.sessions, 1);
  }));

Deno.test("Visits tells of each session how it goes, and not where", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    const client = world.client();
    const [one] = [
      await connect(client, service, { isolation: "a" }),
      await connect(client, service, { isolation: "b" }),
    ];
    const other = await world.readyService({}, 2);
    await connect(client, other, { isolation: "a" });
    await exchange(one, pattern(90_000));
    const held = await connect(client, service, { isolation: "a" });
    await sleep(world.clock, 15_000);
    const [first, second, third] = client.visits.sessions;
    assert.ok(first && second && third);
    assert.deepEqual([first.id, second.id, third.id], [1, 2, 3]);
    // By isolation key, whatever the service.
    assert.equal(first.isolation, third.isolation);
    assert.notEqual(first.isolation, second.isolation);
    assert.deepEqual([first.state, first.streams, first.silentLegs], [
      "open",
      1,
      0,
    ]);
    assert.equal(first.ageSeconds, 10);
    assert.ok(first.legs >= 1);
    assert.ok(first.roundTripMs !== null && first.roundTripMs > 0);
    assert.ok(first.cellsOut > 20 && first.cellsIn > 20);
    assert.doesNotMatch(
      JSON.stringify(client.visits.sessions),
      new RegExp(`${service.driver.host}|${service.publicKey.toHex()}`),
    );
    const { cellsIn } = first;
    // What legs that are gone have carried still counts.
    for (const circuit of [...client.circuits.open]) circuit.end();
    await exchange(held, pattern(9_000));
    assert.ok((client.visits.sessions[0]?.cellsIn ?? 0) > cellsIn);
    await connect(client, service, { isolation: "a" });
    client.visits.newIdentity();
    assert.equal(client.visits.sessions[0]?.state, "ending");
  }));

Deno.test("Visits parks a session that no caller has used for minutes, and closes it later", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    const client = world.client();
    const stream = await connect(client, service);
    await exchange(stream, pattern(10));
    // The service still has its end, and no circuit for it.
    await sleep(world.clock, PARK_MS - 1000);
    assert.equal(client.visits.status.legs, 1);
    await sleep(world.clock, 3000);
    assert.equal(client.visits.status.legs, 0);
    assert.equal(client.visits.status.sessions, 1);
    assert.equal(client.circuits.open.size, 0);
    assert.equal(service.driver.status.sessions, 1);
    assert.equal(service.circuits.open.size, 3); // its introduction points
    await sleep(world.clock, CLIENT_IDLE_MS);
    assert.equal(client.visits.status.sessions, 0);
    await sleep(world.clock, SERVICE_IDLE_MS);
    assert.equal(service.driver.status.sessions, 0);
  }));

Deno.test("Visits meets the service of a parked session again by ticket", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    const client = world.client();
    await exchange(await connect(client, service), pattern(10));
    await sleep(world.clock, PARK_MS + 5_000);
    assert.equal(client.visits.status.legs, 0);
    const both = await Promise.all([
      connect(client, service),
      connect(client, service),
    ]);
    for (const stream of both) {
      assert.deepEqual(
        await exchange(stream, pattern(70_000)),
        pattern(70_000),
      );
    }
    // The very session that was there, at both ends.
    assert.equal(client.visits.status.sessions, 1);
    assert.equal(service.driver.status.sessions, 1);
  }));

Deno.test("Visits begins a new session where the service has forgotten the parked one", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    const client = world.client();
    await exchange(await connect(client, service), pattern(10));
    await sleep(world.clock, PARK_MS + 5_000);
    await service.driver[Symbol.asyncDispose]();
    const again = await world.readyService();
    const startMs = world.clock.nowMs();
    const stream = await connect(client, again);
    assert.deepEqual(await exchange(stream, pattern(10)), pattern(10));
    // It says so: there is no time-out to wait for.
    assert.ok(world.clock.nowMs() - startMs < 2_000);
    assert.equal(client.visits.status.sessions, 1);
  }));

Deno.test("Visits tells a caller why a parked session cannot be met, and meets the service when it can", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    const client = world.client();
    await exchange(await connect(client, service), pattern(10));
    await sleep(world.clock, PARK_MS + 5_000);
    client.circuits.outage = OUTAGE;
    const take = client.circuits.take.bind(client.circuits);
    client.circuits.take = ({ signal }) =>
      raceSignal(new Promise<never>(() => {}), signal);
    const startMs = world.clock.nowMs();
    await assert.rejects(connect(client, service), OUTAGE);
    assert.equal(world.clock.nowMs() - startMs, OUTAGE_WAIT_MS);
    client.circuits.take = take;
    client.circuits.outage = undefined;
    const stream = await connect(client, service);
    assert.deepEqual(await exchange(stream, pattern(10)), pattern(10));
  }));

Deno.test("Visits leaves no session of before where a new identity is wished for while a parked one is met again", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    const client = world.client();
    await exchange(await connect(client, service), pattern(10));
    await sleep(world.clock, PARK_MS + 5_000);
    const waiting = connect(client, service);
    await sleep(world.clock, 1);
    client.visits.newIdentity();
    const stream = await waiting;
    assert.deepEqual(await exchange(stream, pattern(10)), pattern(10));
    await sleep(world.clock, 1000);
    assert.equal(client.visits.status.sessions, 0);
  }));

Deno.test("Visits keeps a parked session through a long sleep, and the service keeps its end", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    const client = world.client();
    await exchange(await connect(client, service), pattern(10));
    await sleep(world.clock, PARK_MS + 5_000);
    client.visits.onStoodStill(10 * MINUTE);
    service.driver.onNetworkChange(10 * MINUTE);
    await sleep(world.clock, 10_000);
    assert.equal(client.visits.status.sessions, 1);
    assert.equal(service.driver.status.sessions, 1);
    const stream = await connect(client, service);
    assert.deepEqual(await exchange(stream, pattern(10)), pattern(10));
    assert.equal(service.driver.status.sessions, 1);
  }));

Deno.test("Visits keeps one leg for a connection that rests, and the service can speak first", () =>
  inServiceWorld(async (world) => {
    const gate = Promise.withResolvers<void>();
    const service = await world.readyService({
      targets: new Map([[80, {
        type: "handler",
        handle: async (stream) => {
          await gate.promise;
          await stream.write(pattern(5));
          await stream.closeWrite();
        },
      }]]),
    });
    const client = world.client();
    const stream = await connect(client, service);
    await sleep(world.clock, 60 * MINUTE);
    const { legs } = client.visits.status;
    const startMs = world.clock.nowMs();
    gate.resolve();
    assert.deepEqual(await readAll(stream), pattern(5));
    assert.ok(world.clock.nowMs() - startMs < 1_000);
    stream.abort();
    assert.equal(legs, 1);
  }));

Deno.test("Visits tells what becomes of a stream that the service does not take", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    const client = world.client();
    const stream = await connect(client, service, { port: 81 });
    await assert.rejects(stream.opened, { code: "service.no_port" });
    await assert.rejects(stream.read(), { code: "service.no_port" });
    await assert.rejects(stream.write(pattern(1)), { code: "service.no_port" });
  }));

Deno.test("Visits keeps a second leg warm over other relays", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    const client = world.client();
    const stream = await connect(client, service);
    await stream.opened;
    assert.equal(client.visits.status.legs, 1);
    // While data moves; the echo comes back beside it.
    for (let ms = 0; ms < 8_000; ms += 500) {
      await stream.write(pattern(10));
      await sleep(world.clock, 500);
    }
    assert.equal(client.visits.status.legs, 2);
    const legs = client.circuits.taken.filter(({ purpose }) =>
      purpose === "rendezvous"
    );
    assert.equal(legs.length, 2);
    assert.equal(new Set(legs.flatMap(({ path }) => path)).size, 6);
    assert.equal(service.driver.status.sessions, 1);
    stream.abort();
  }));

/** Fetches bytes while `harm` is done; how long the longest stall was. */
async function fetchUnder(
  world: ServiceWorld,
  harm: (
    client: TestClient,
    service: TestService,
    round: number,
  ) => void | Promise<void>,
): Promise<number> {
  const bytes = pattern(2_000_000);
  const rate = 100_000; // bytes each 100 ms
  const service = await world.readyService({
    targets: new Map([[80, {
      type: "handler",
      handle: async (stream) => {
        stream.accept();
        for (let at = 0; at < bytes.length; at += rate) {
          await stream.write(bytes.subarray(at, at + rate));
          await sleep(world.clock, 500);
        }
        await stream.closeWrite();
      },
    }]]),
  });
  const client = world.client();
  const stream = await connect(client, service);
  await stream.opened;
  let isDone = false;
  const harming = (async () => {
    for (let round = 0; !isDone; round++) {
      await sleep(world.clock, 4_500);
      if (!isDone) await harm(client, service, round);
    }
  })();
  const chunks: Uint8Array[] = [];
  let longest = 0;
  for (let lastMs = world.clock.nowMs();;) {
    const chunk = await stream.read();
    longest = Math.max(longest, world.clock.nowMs() - lastMs);
    lastMs = world.clock.nowMs();
    if (chunk === undefined) break;
    chunks.push(chunk);
  }
  isDone = true;
  assert.deepEqual(concat(...chunks), bytes);
  await stream.closeWrite();
  await harming;
  return longest;
}

const joined = (client: TestClient) =>
  [...client.circuits.open].filter(({ path }) => path.length === 3);

Deno.test("a transfer survives the death of the circuit that carries it, within two seconds", () =>
  inServiceWorld(async (world) => {
    let killed = 0;
    const stall = await fetchUnder(world, (client) => {
      if (joined(client).length < 2) return;
      joined(client)[0]?.end();
      killed++;
    });
    assert.ok(killed >= 2, `${killed} killed`);
    assert.ok(stall <= 2_000, `${stall} ms`);
  }));

Deno.test("a stream survives the death of its circuit before the service has heard of the client", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    const client = world.client();
    const stream = await connect(client, service);
    assert.equal(joined(client).length, 1);
    joined(client)[0]?.end();
    const bytes = pattern(100_000);
    assert.deepEqual(await exchange(stream, bytes), bytes);
    assert.equal(service.driver.status.sessions, 1);
  }));

Deno.test("a transfer survives circuits that fall silent, within two seconds", () =>
  inServiceWorld(async (world) => {
    let silenced = 0;
    const stall = await fetchUnder(world, (client, _service, round) => {
      const legs = joined(client).filter(({ isSilent }) => !isSilent);
      if (round % 2 === 1 || legs.length < 2) return;
      for (const leg of legs.slice(0, 1)) leg.isSilent = true;
      silenced++;
    });
    assert.ok(silenced >= 1, `${silenced} silenced`);
    assert.ok(stall <= 2_000, `${stall} ms`);
  }));

Deno.test("a transfer survives the death of all its circuits at once", () =>
  inServiceWorld(async (world) => {
    let killed = 0;
    const stall = await fetchUnder(world, (client) => {
      killed += joined(client).length;
      for (const circuit of joined(client)) circuit.end();
    });
    assert.ok(killed >= 4, `${killed} killed`);
    assert.ok(stall <= 3_000, `${stall} ms`);
  }));

Deno.test("a transfer survives a service whose introduction points die with its circuits", () =>
  inServiceWorld(async (world) => {
    const stall = await fetchUnder(world, (client, service, round) => {
      if (round !== 0) return;
      for (const circuit of joined(client)) circuit.end();
      for (const circuit of service.circuits.open) circuit.end();
    });
    assert.ok(stall <= 30_000, `${stall} ms`);
  }));

Deno.test("a stream fails a minute after its service has gone, and says so", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    const client = world.client();
    const stream = await connect(client, service);
    await stream.opened;
    for (const circuit of [...service.circuits.open]) circuit.end();
    world.network.isDown = true;
    const startMs = world.clock.nowMs();
    await assert.rejects(stream.read(), { code: "session.reset_failed" });
    const tookMs = world.clock.nowMs() - startMs;
    assert.ok(tookMs >= 60_000 && tookMs < 65_000, `${tookMs} ms`);
    await assert.rejects(connect(client, service), {
      code: /^service\.(unreachable|introduction)/,
    });
  }));

Deno.test("rebuilding legs is capped while an attacker kills every one of them", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    const client = world.client();
    const stream = await connect(client, service);
    await stream.opened;
    const before = client.circuits.wishes.length;
    const untilMs = world.clock.nowMs() + 10 * MINUTE;
    while (world.clock.nowMs() < untilMs) {
      for (const circuit of joined(client)) circuit.end();
      await sleep(world.clock, 50);
    }
    const taken = client.circuits.wishes.length - before;
    assert.ok(taken < 900, `${taken} circuits in ten minutes`);
    stream.abort();
  }));

Deno.test("VisitGateway refuses what is no address before anything goes out", () =>
  inServiceWorld(async (world) => {
    const service = await world.readyService();
    const client = world.client();
    const gateway = new VisitGateway(world.crypto, client.visits);
    const host = formatServiceHost(world.crypto, service.publicKey);
    const mistyped = (host.startsWith("a") ? "b" : "a") + host.slice(1);
    for (
      const [wrong, code] of [
        [mistyped, "service.address_checksum"],
        [host.slice(1), "service.address_length"],
        ["example.com", "service.address_suffix"],
        [`${host}.`, "service.address_suffix"],
        ["x.anon", "service.address_length"],
        ["1".repeat(56) + ".anon", "service.address_characters"],
      ] as const
    ) {
      const target = { host: wrong, port: 80, isolation: undefined };
      await assert.rejects(gateway.connect(target, { signal: NEVER }), {
        name: "ConfigError",
        code,
      });
    }
    assert.equal(client.circuits.wishes.length, 0);
    const target = { host: `www.${host}`, port: 80, isolation: undefined };
    const stream = await gateway.connect(target, { signal: NEVER });
    await stream.opened;
    await stream.closeWrite();
    assert.equal(await readAll(stream as never).then((b) => b.length), 0);
  }));
