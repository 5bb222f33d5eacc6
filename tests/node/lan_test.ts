/** Nodes that find each other on a LAN. */
import assert from "node:assert/strict";
import { Identity } from "../../lib/auth/identity.ts";
import {
  encodeLanAnnouncement,
  lanTag,
} from "../../lib/dht/join/lan_announcement.ts";
import { networkParameters } from "../../lib/auth/network.ts";
import { sleep } from "../../lib/base/clock.ts";
import { ConfigError, UnreachableError } from "../../lib/base/errors.ts";
import { Node, type NodeOptions } from "../../lib/node/node.ts";
import type { LanPacket, LanSocket } from "../../lib/transport/lan_socket.ts";
import { inNodeWorld, type Machine, type NodeWorld } from "./node_world.ts";

const NEVER = new AbortController().signal;

/** A wire that all machines are attached to. */
class MemoryLan {
  readonly #world: NodeWorld;
  readonly #sockets = new Set<(packet: LanPacket) => void>();
  /** Packets that were sent. */
  readonly sent: LanPacket[] = [];

  constructor(world: NodeWorld) {
    this.#world = world;
  }

  deliver(packet: LanPacket): void {
    this.sent.push(packet);
    for (const take of this.#sockets) {
      this.#world.clock.schedule(1, () => take(packet));
    }
  }

  open(host: string): LanSocket {
    const waiting: LanPacket[] = [];
    let wake = Promise.withResolvers<void>();
    let isOpen = true;
    const take = (packet: LanPacket) => {
      waiting.push(packet);
      wake.resolve();
    };
    this.#sockets.add(take);
    return {
      send: (message) =>
        Promise.resolve(this.deliver({ message, from: { host, port: 5 } })),
      async receive() {
        while (isOpen && waiting.length === 0) {
          await wake.promise;
          wake = Promise.withResolvers();
        }
        return waiting.shift();
      },
      close: () => {
        isOpen = false;
        this.#sockets.delete(take);
        wake.resolve();
      },
    };
  }

  /** Start a node on a machine of the wire. */
  start(machine: Machine, options: Partial<NodeOptions>): Promise<Node> {
    const { host } = machine.listen;
    return Node.start({
      state: "state",
      network: networkParameters("local"),
      bootstrap: [],
      control: "off",
      holder: "test",
      signal: NEVER,
      lan: true,
      ...options,
    }, {
      ...machine.runtime,
      lan: {
        places: () => [{ host, bits: 24 }],
        open: () => Promise.resolve(this.open(host)),
      },
    });
  }
}

function relayOn(machine: Machine): Partial<NodeOptions> {
  return { relay: { listen: machine.listen, advertise: [] } };
}

Deno.test("relays on a LAN that are told of no other find each other, and a client finds them", () =>
  inNodeWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const lan = new MemoryLan(world);
    const machines = Array.from({ length: 5 }, () => world.machine());
    const relays = await Promise.all(
      machines.map((machine) => lan.start(machine, relayOn(machine))),
    );
    for (const relay of relays) stack.use(relay);
    await sleep(world.clock, 5 * 60_000);
    for (const { relays: known } of relays) {
      assert.equal(known?.snapshot().length, 5);
    }
    const visitor = world.machine();
    const sent = lan.sent.length;
    const client = stack.use(
      await lan.start(visitor, { client: visitor.client }),
    );
    const { circuits } = client.client ?? assert.fail();
    (await circuits.take({ purpose: "rendezvous", signal: NEVER })).close();
    // A client says nothing.
    const speakers = lan.sent.slice(sent).map(({ from }) => from.host);
    assert.ok(!speakers.includes(visitor.listen.host));
  }));

Deno.test("what is heard on the LAN is asked beside the nodes that were named, and replaces none", () =>
  inNodeWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const relays = await world.relays(4, stack);
    await sleep(world.clock, 5 * 60_000);
    const lan = new MemoryLan(world);
    const liar = Identity.generate(world.machine().runtime.crypto, {
      bytes: (count) => new Uint8Array(count).fill(7),
    });
    const tag = lanTag(
      world.machine().runtime.crypto,
      networkParameters("local"),
    );
    const lie = encodeLanAnnouncement(tag, liar, 4001);
    let shouting: { cancel(): void } | undefined;
    stack.defer(() => shouting?.cancel());
    const shout = () => {
      lan.deliver({ message: lie, from: { host: "10.0.0.200", port: 5 } });
      shouting = world.clock.schedule(500, shout);
    };
    shout();
    const machine = world.machine();
    const node = stack.use(
      await lan.start(machine, {
        ...relayOn(machine),
        bootstrap: relays.slice(0, 1).map(({ address }) => address),
      }),
    );
    await sleep(world.clock, 60_000);
    assert.equal(node.relays?.snapshot().length, 5);
  }));

for (
  const [what, options, code] of [
    ["in network main", { network: networkParameters("main") }, "node.lan"],
    ["as a client that hears of no relay", {}, "node.no_bootstrap"],
  ] as const
) {
  Deno.test(`--lan ${what} ends the start with words`, () =>
    inNodeWorld(async (world) => {
      const machine = world.machine();
      const lan = new MemoryLan(world);
      await assert.rejects(
        lan.start(machine, { client: machine.client, ...options }),
        (error) => error instanceof ConfigError && error.code === code,
      );
    }));
}

Deno.test("a machine without a LAN is told so, and a stop ends the wait for relays", () =>
  inNodeWorld(async (world) => {
    const machine = world.machine();
    await assert.rejects(
      machine.start({ ...relayOn(machine), lan: true }),
      (error) => error instanceof ConfigError && error.code === "node.lan",
    );
    const stop = new AbortController();
    const lan = new MemoryLan(world);
    const starting = lan.start(machine, {
      ...relayOn(machine),
      signal: stop.signal,
    });
    starting.catch(() => {});
    await sleep(world.clock, 1_000);
    stop.abort(new UnreachableError("test.stop", "Stop"));
    await assert.rejects(starting, UnreachableError);
  }));
