/**
 * Places to run endpoints in: the machine's loopback, and memory on a virtual
 * clock. A test that runs in both says the same of QUIC and of its twin.
 *
 * @module
 */
import assert from "node:assert/strict";
import { seededRandom } from "../../lib/base/random.ts";
import { VirtualClock } from "../../lib/base/virtual_clock.ts";
import { Identity } from "../../lib/auth/identity.ts";
import type { SocketAddress } from "../../lib/auth/socket_address.ts";
import { nobleSuite } from "../../lib/crypto/noble.ts";
import { createDrain } from "../../lib/sim/world/drain.ts";
import type {
  EndpointOptions,
  TransportLimits,
} from "../../lib/transport/endpoint_options.ts";
import { MemoryNetwork } from "../../lib/transport/memory_network.ts";
import { openQuicEndpoint } from "../../lib/transport/quic_endpoint.ts";
import type { Connection, Endpoint } from "../../lib/transport/transport.ts";
import { openForwarder } from "../support/udp_forwarder.ts";

export const CRYPTO = nobleSuite();
export const ALPN = "h3";
export const LOOPBACK: SocketAddress = { host: "127.0.0.1", port: 0 };

const random = seededRandom(20260101);

/** A new identity; the same ones in every run. */
export function newIdentity(): Identity {
  return Identity.generate(CRYPTO, random);
}

/** What differs between the endpoints of a test. */
export type PartyOptions =
  & Partial<Omit<EndpointOptions, "limits">>
  & { readonly limits?: Partial<TransportLimits> };

/** An endpoint with its identity. */
export interface Party {
  readonly identity: Identity;
  readonly endpoint: Endpoint;
}

/** A way to a party that can be cut. */
export interface Line {
  /** What to dial in place of the party's address. */
  readonly address: SocketAddress;
  /** Let nothing through any more. */
  cut(): void;
}

/** Where endpoints live. */
export interface World {
  open(options?: PartyOptions): Promise<Party>;
  /** A line from `from` to `to`. */
  line(from: Party, to: Party): Promise<Line>;
}

/** Runs a test in a world of its own, and closes what it opened. */
export type WithWorld = (
  test: (world: World) => Promise<void>,
) => Promise<void>;

/** Longest that a test over real sockets may take, ms. */
const REAL_LIMIT_MS = 30_000;

/** Over loopback. */
export const withQuic: WithWorld = async (test) => {
  await using opened = new AsyncDisposableStack();
  await heedfully(async () => {
    const world: World = {
      async open(options = {}) {
        const endpointOptions = completed(options);
        const endpoint = opened.use(await openQuicEndpoint(endpointOptions));
        return { identity: endpointOptions.identity, endpoint };
      },
      async line(_from, to) {
        const forwarder = opened.use(
          await openForwarder(to.endpoint.localAddress),
        );
        return { address: forwarder.address, cut: () => forwarder.stop() };
      },
    };
    await withinMs(REAL_LIMIT_MS, test(world));
    await opened.disposeAsync();
  });
};

/** In memory. */
export const withMemory: WithWorld = async (test) => {
  const clock = new VirtualClock({ drain: createDrain(), maxEvents: 1e6 });
  const network = new MemoryNetwork({
    clock,
    random: seededRandom(1),
    link: () => ({ latencyMs: 10, jitterMs: 2 }),
  });
  await heedfully(() => runOn(clock, test(memoryWorld(network))));
};

/** Endpoints in `network`. */
export function memoryWorld(network: MemoryNetwork): World {
  return {
    open: (options = {}) =>
      Promise.try(() => {
        const endpointOptions = completed(options);
        const endpoint = network.endpoint(endpointOptions);
        return { identity: endpointOptions.identity, endpoint };
      }),
    line(from, to) {
      return Promise.resolve({
        address: to.endpoint.localAddress,
        cut: () =>
          void network.cut(
            [from.endpoint.localAddress],
            [to.endpoint.localAddress],
          ),
      });
    },
  };
}

/** Let virtual time pass until `work` is done. */
export async function runOn<T>(
  clock: VirtualClock,
  work: Promise<T>,
): Promise<T> {
  let isDone = false;
  const done = () => isDone = true;
  work.then(done, done);
  const happened = await clock.runUntil(() => isDone);
  assert(happened, "the test waits for something that never happens");
  return await work;
}

/** Fail when a promise was rejected and not handled: it would end a node. */
async function heedfully(run: () => Promise<void>): Promise<void> {
  const unheeded: unknown[] = [];
  const onRejection = (event: PromiseRejectionEvent) => {
    event.preventDefault();
    unheeded.push(event.reason);
  };
  globalThis.addEventListener("unhandledrejection", onRejection);
  try {
    await run();
  } finally {
    globalThis.removeEventListener("unhandledrejection", onRejection);
  }
  assert.deepEqual(unheeded, [], "rejections that were not handled");
}

async function withinMs<T>(limitMs: number, work: Promise<T>): Promise<T> {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(
    () => reject(new Error(`the test waits for more than ${limitMs} ms`)),
    limitMs,
  );
  try {
    return await Promise.race([work, promise]);
  } finally {
    clearTimeout(timer);
  }
}

function completed(options: PartyOptions): EndpointOptions {
  return {
    address: LOOPBACK,
    alpn: ALPN,
    crypto: CRYPTO,
    ...options,
    identity: options.identity ?? newIdentity(),
  };
}

/** Both sides of a new connection. */
export async function connect(
  from: Party,
  to: Party,
  address = to.endpoint.localAddress,
): Promise<[dialled: Connection, accepted: Connection]> {
  const [dialled, accepted] = await Promise.all([
    from.endpoint.dial(address, to.identity.publicKey),
    to.endpoint.accept(),
  ]);
  assert(accepted !== undefined, "the endpoint accepts the connection");
  return [dialled, accepted];
}
