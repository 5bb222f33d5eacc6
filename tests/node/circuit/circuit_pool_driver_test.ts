import assert from "node:assert/strict";
import { PathSelector } from "../../../lib/path/path_selection.ts";
import { avoiding } from "../../../lib/path/path_avoid.ts";
import { sleep } from "../../../lib/base/clock.ts";
import type { NodeRecord } from "../../../lib/auth/node_record.ts";
import type {
  CircuitWish,
  ServiceCircuit,
} from "../../../lib/node/circuit/circuits.ts";
import type { ClientRole } from "../../../lib/node/client_role.ts";
import {
  inNodeWorld,
  type Machine,
  type MachineOptions,
  type NodeWorld,
  type RelayNode,
} from "../node_world.ts";

const NEVER = new AbortController().signal;

/** A network of relays, and a client. */
class ClientWorld {
  readonly world: NodeWorld;
  readonly relays: readonly RelayNode[];
  readonly stack: AsyncDisposableStack;

  constructor(
    world: NodeWorld,
    relays: readonly RelayNode[],
    stack: AsyncDisposableStack,
  ) {
    this.world = world;
    this.relays = relays;
    this.stack = stack;
  }

  /** Start a client; it ends with the world, or by its own node. */
  async client(
    machine: Machine = this.world.machine(),
    options: MachineOptions = {},
  ): Promise<ClientRole & AsyncDisposable> {
    const node = this.stack.use(
      await machine.start({
        client: machine.client,
        bootstrap: this.relays.slice(0, 2).map(({ address }) => address),
        ...options,
      }),
    );
    assert.ok(node.client !== undefined);
    return {
      ...node.client,
      [Symbol.asyncDispose]: () => node[Symbol.asyncDispose](),
    };
  }

  /** Relays that hold a link which is no relay's: guards. */
  linkedByClients(): RelayNode[] {
    return this.relays.filter(({ relay }) =>
      relay.links.links.some((link) => !link.isRelay)
    );
  }

  /** Take a relay away, with everything on it. */
  async kill(record: NodeRecord): Promise<void> {
    const relay = this.relays.find(({ relay }) =>
      relay.identity.nodeId.toHex() === record.nodeId.toHex()
    );
    await relay?.[Symbol.asyncDispose]();
  }
}

function inClientWorld(
  relays: number,
  test: (world: ClientWorld) => Promise<void>,
): Promise<void> {
  return inNodeWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const nodes = await world.relays(relays, stack);
    await test(new ClientWorld(world, nodes, stack));
  });
}

function take(
  { circuits }: ClientRole,
  wish: Partial<CircuitWish> = {},
): Promise<ServiceCircuit> {
  return circuits.take({ purpose: "rendezvous", signal: NEVER, ...wish });
}

/** Whether a circuit that is handed out now is one that works. */
async function works(client: ClientRole): Promise<boolean> {
  const circuit = await take(client);
  try {
    await circuit.ping({ signal: NEVER });
    return true;
  } catch {
    return false;
  } finally {
    circuit.close();
  }
}

/** Relays of a path, as texts. */
function namesOf({ path }: ServiceCircuit): string[] {
  return path.map(({ nodeId }) => nodeId.toHex());
}

Deno.test("CircuitPoolDriver.take() gives circuits that work, each to one caller, one hop longer where the last hop knows the service", () =>
  inClientWorld(8, async (world) => {
    const client = await world.client();
    const purposes = ["introduction", "rendezvous", "directory"] as const;
    const wanted = [...purposes, ...purposes];
    const taken = await Promise.all(
      wanted.map((purpose) => take(client, { purpose })),
    );
    assert.equal(new Set(taken.map(({ binding }) => binding.toHex())).size, 6);
    for (const [index, circuit] of taken.entries()) {
      const hops = wanted[index] === "rendezvous" ? 3 : 4;
      assert.equal(circuit.path.length, hops);
      assert.ok(await circuit.ping({ signal: NEVER }) >= 60);
      circuit.close();
      await circuit.closed;
      assert.throws(() => circuit.binding, {
        name: "UnreachableError",
        code: "circuit.ended",
      });
    }
    const { counts } = client.circuits.status;
    assert.equal(counts.lost, 0);
    assert.equal(counts.servedAtOnce + counts.servedLater, 6);
  }));

Deno.test("CircuitPoolDriver.take() ends at the relay that the other side chose, behind three of ours", () =>
  inClientWorld(8, async (world) => {
    const client = await world.client();
    for (const endAt of client.relays.snapshot()) {
      const circuit = await take(client, { endAt });
      const names = namesOf(circuit);
      assert.equal(names.length, 4);
      assert.equal(names[3], endAt.nodeId.toHex());
      await circuit.ping({ signal: NEVER });
      circuit.close();
    }
    const gone = client.relays.snapshot()[0];
    assert.ok(gone !== undefined);
    const lost = { ...gone, onionKey: new Uint8Array(32).fill(9) };
    await assert.rejects(take(client, { endAt: lost }), {
      code: "circuit.not_extended",
    });
  }));

Deno.test("CircuitPoolDriver.take() avoids relays where it can, and does without where it cannot", () =>
  inClientWorld(8, async (world) => {
    const client = await world.client();
    const first = await take(client);
    const avoid = avoiding([first.path]);
    const second = await take(client, { avoid });
    const shared = namesOf(second).filter((name, place) =>
      place > 0 && namesOf(first)[place] === name
    );
    assert.deepEqual(shared, [], "in the same place");
    const all = client.relays.snapshot();
    const everything = avoiding([all.slice(0, 2), all]);
    const { path } = await take(client, { avoid: everything });
    assert.equal(path.length, 3);
  }));

Deno.test("CircuitPoolDriver.take() gives up when told to, and leaves nothing behind", () =>
  inClientWorld(6, async (world) => {
    const client = await world.client();
    const reason = new Error("enough");
    await assert.rejects(
      take(client, { signal: AbortSignal.abort(reason) }),
      reason,
    );
    const stop = new AbortController();
    const waiting = Array.from(
      { length: 20 },
      () => take(client, { signal: stop.signal }),
    );
    const settled = Promise.allSettled(waiting);
    stop.abort(reason);
    for (const result of await settled) {
      if (result.status === "rejected") assert.equal(result.reason, reason);
      else result.value.close();
    }
    assert.equal(client.circuits.status.waiting, 0);
    await sleep(world.world.clock, 60_000);
    const used = client.circuits.status.circuits
      .filter(({ state }) => state === "used");
    assert.deepEqual(used, []);
  }));

Deno.test("a client links to its guards alone, each time under another identity", () =>
  inClientWorld(10, async (world) => {
    const machine = world.world.machine();
    const seen = new Map<string, Set<string>>();
    for (let start = 0; start < 3; start++) {
      await using client = await world.client(machine);
      for (let round = 0; round < 20; round++) (await take(client)).close();
      await sleep(world.world.clock, 3 * 60_000);
      const guards = world.linkedByClients();
      assert.equal(guards.length, 2);
      for (const { relay } of guards) {
        const name = relay.identity.nodeId.toHex();
        const keys = seen.get(name) ?? new Set();
        seen.set(name, keys);
        for (const link of relay.links.links) {
          if (link.isRelay) continue;
          assert.ok(!keys.has(link.peerKey.toHex()), "a name was used twice");
          keys.add(link.peerKey.toHex());
          assert.equal(link.record, undefined);
        }
      }
    }
    // Over three starts, the same two.
    assert.equal(seen.size, 2);
  }));

Deno.test("a relay that is a client too shows its guards neither its key nor its record", () =>
  inClientWorld(6, async (world) => {
    const machine = world.world.machine();
    const node = world.stack.use(
      await machine.start({
        relay: {
          listen: { ...machine.client.dialFrom, port: 4001 },
          advertise: [],
        },
        client: machine.client,
        bootstrap: world.relays.slice(0, 1).map(({ address }) => address),
      }),
    );
    const { relay, client } = node;
    assert.ok(relay !== undefined && client !== undefined);
    const circuit = await take(client);
    const own = relay.identity.nodeId.toHex();
    assert.ok(!namesOf(circuit).includes(own));
    const guards = world.linkedByClients();
    assert.ok(guards.length >= 1);
    for (const guard of guards) {
      const links = guard.relay.links.links
        .filter((link) => link.remoteAddress.port !== 4001);
      const keys = links.filter((link) => !link.isRelay)
        .map((link) => link.nodeId.toHex());
      assert.ok(keys.length > 0 && !keys.includes(own));
    }
  }));

Deno.test("CircuitPoolDriver keeps its guards when a file is torn, and draws others with a word about it", () =>
  inClientWorld(8, async (world) => {
    const machine = world.world.machine();
    {
      await using client = await world.client(machine);
      (await take(client)).close();
    }
    for (const name of ["guards", "layer2"]) {
      const path = `state/${name}.blob`;
      const bytes = await machine.files.read(path);
      assert.ok(bytes !== undefined);
      machine.files.plant(path, bytes.subarray(0, bytes.length >> 1));
    }
    await using client = await world.client(machine);
    (await take(client)).close();
    assert.deepEqual(machine.log.messages("error"), [
      "A damaged file was set aside; going on without it",
      "A damaged file was set aside; going on without it",
    ]);
  }));

Deno.test("CircuitPoolDriver goes on when relays die, and has circuits again within seconds", () =>
  inClientWorld(10, async (world) => {
    const client = await world.client();
    const { clock } = world.world;
    for (let round = 0; round < 3; round++) {
      const circuit = await take(client);
      const [, second] = circuit.path;
      assert.ok(second !== undefined);
      await world.kill(second);
      await circuit.closed;
      const before = clock.nowMs();
      while (!await works(client));
      assert.ok(clock.nowMs() - before < 5_000);
    }
    assert.ok(client.circuits.status.counts.lost >= 3);
  }));

Deno.test("CircuitPoolDriver says why there are no circuits while its guards are away, and mends itself", () =>
  inClientWorld(8, async (world) => {
    const machine = world.world.machine();
    const client = await world.client(machine);
    const { clock, network } = world.world;
    (await take(client)).close();
    const ours = world.relays.flatMap(({ relay }) =>
      relay.links.links.filter((link) => !link.isRelay)
        .map((link) => link.remoteAddress)
    );
    using cut = network.cut(
      ours,
      world.relays.map(({ address }) => address.address),
    );
    await sleep(clock, 20_000);
    await assert.rejects(take(client), {
      name: "UnreachableError",
      code: /^(path\.guards_down|circuit\.timeout)$/,
    });
    const [line] = machine.log.lines.filter(({ message }) =>
      message.includes("none of our guards answers")
    );
    assert.equal(line?.level, "warning");
    assert.deepEqual([line?.fields["known"], line?.fields["needed"]], [8, 4]);
    assert.ok(Number(line?.fields["silent"]) >= 2);
    const { state, words } = client.circuits.facts;
    assert.equal(state, "guards_down");
    assert.match(words, /8 relays known, .* 4 needed/);
    cut.heal();
    await sleep(clock, 35_000);
    (await take(client)).close();
    assert.ok(
      machine.log.messages("info").includes("Circuits can be built again"),
    );
  }));

Deno.test("a client waits for relays enough to choose from, says so, and hears of them soon", () =>
  inClientWorld(3, async (world) => {
    const machine = world.world.machine();
    const { clock } = world.world;
    const starting = world.client(machine);
    await sleep(clock, 20 * 60_000);
    const [line] = machine.log.lines
      .filter(({ level }) => level === "warning");
    assert.match(line?.message ?? "", /Too few relays are known/);
    assert.deepEqual([line?.fields["known"], line?.fields["needed"]], [3, 4]);
    const bootstrap = world.relays.slice(0, 1).map(({ address }) => address);
    for (let more = 0; more < 2; more++) {
      world.stack.use(await world.world.machine().startRelay({ bootstrap }));
    }
    const beforeMs = clock.nowMs();
    const client = await starting;
    assert.ok(clock.nowMs() - beforeMs < 10_000);
    (await take(client)).close();
  }));

/** Cut a client off, and mend that. @returns How long until it has a circuit, ms. */
async function mendingMs(
  world: ClientWorld,
  cutMs: number,
  onMended: () => void,
): Promise<number> {
  const client = await world.client();
  const { clock, network } = world.world;
  (await take(client)).close();
  const ours = world.relays.flatMap(({ relay }) =>
    relay.links.links.filter((link) => !link.isRelay)
      .map((link) => link.remoteAddress)
  );
  {
    using _cut = network.cut(
      ours,
      world.relays.map(({ address }) => address.address),
    );
    await sleep(clock, cutMs);
  }
  const mendedMs = clock.nowMs();
  onMended();
  for (;;) {
    try {
      (await take(client)).close();
      return clock.nowMs() - mendedMs;
    } catch (error) {
      assert.match(`${error}`, /Unreachable/);
    }
  }
}

for (const cutMs of [20_000, 62_000, 181_000]) {
  Deno.test(`CircuitPoolDriver has circuits within 6 s after ${cutMs / 1000} s asleep without a network, and within 30 s after as long awake`, async () => {
    await inClientWorld(8, async (world) => {
      // Guards are tried again after 30 s at the latest.
      const mendedMs = await mendingMs(world, cutMs, () => {});
      assert.ok(mendedMs < 30_000, `${mendedMs} ms`);
    });
    await inClientWorld(8, async (world) => {
      const { clock } = world.world;
      const wake = () => clock.jumpUnix(3 * 3_600_000);
      const mendedMs = await mendingMs(world, cutMs, wake);
      assert.ok(mendedMs < 6_000, `${mendedMs} ms`);
    });
  });
}

Deno.test("a client stops in the middle of building, and starts again on the same state", () =>
  inClientWorld(8, async (world) => {
    const machine = world.world.machine();
    for (let round = 0; round < 3; round++) {
      const client = await world.client(machine);
      const waiting = Promise.allSettled(
        Array.from({ length: 30 }, () => take(client)),
      );
      await client[Symbol.asyncDispose]();
      for (const result of await waiting) {
        if (result.status === "fulfilled") await result.value.closed;
        else {
          assert.match(
            result.reason.code,
            /^circuit\.(stopping|ended|rebuild_budget|stopped)$/,
          );
        }
      }
    }
    assert.deepEqual(machine.log.messages("error"), []);
  }));

Deno.test("a client that comes back after days asks its guards for the list, and others only where these are gone", () =>
  inClientWorld(10, async (world) => {
    const machine = world.world.machine();
    const { clock } = world.world;
    const day = 24 * 3_600_000;
    let guards: string[];
    {
      await using client = await world.client(machine);
      // Both shall know us: a list of one alone is not believed.
      const known = () =>
        client.circuits.status.guards.filter(({ wasReached }) => wasReached);
      while (known().length < 2) (await take(client)).close();
      guards = client.circuits.guards.map(({ nodeId }) => nodeId.toHex());
    }
    const nameOf = ({ relay }: RelayNode) => relay.identity.nodeId.toHex();
    const others = world.relays.filter((node) => !guards.includes(nameOf(node)))
      .map(({ address }) => address);
    const met = new Set<string>();
    for (const node of world.relays) {
      node.relay.services.listen({
        onLink: (link) => {
          if (!link.isRelay) met.add(nameOf(node));
        },
      });
    }
    const comeBack = async () => {
      clock.jumpUnix(2 * day);
      await sleep(clock, 15 * 60_000);
      met.clear();
      await using client = await world.client(machine, {
        bootstrap: others.slice(0, 1),
      });
      (await take(client)).close();
      return [...met];
    };
    for (const name of await comeBack()) assert.ok(guards.includes(name));
    for (const name of guards) {
      const node = world.relays.find((relay) => nameOf(relay) === name);
      await node?.[Symbol.asyncDispose]();
    }
    // Too few are left to replace guards that may come back: but the list is there.
    clock.jumpUnix(2 * day);
    await sleep(clock, 15 * 60_000);
    met.clear();
    const stop = new AbortController();
    const starting = world.client(machine, {
      bootstrap: others.slice(0, 1),
      signal: stop.signal,
    });
    starting.catch(() => {});
    await sleep(clock, 60_000);
    assert.ok(met.size > 0);
    stop.abort(new Error("enough"));
    await Promise.allSettled([starting]);
  }));

for (const days of [1.5, 3]) {
  Deno.test(`a client that slept for ${days} days blames no relay for its old list`, () =>
    inClientWorld(8, async (world) => {
      const client = await world.client();
      const { clock } = world.world;
      (await take(client)).close();
      const { onFailed } = PathSelector.prototype;
      const failed: (number | undefined)[] = [];
      PathSelector.prototype.onFailed = function (path, hop, nowMs) {
        failed.push(hop);
        onFailed.call(this, path, hop, nowMs);
      };
      try {
        clock.jumpUnix(days * 24 * 3_600_000);
        const taken = await Promise.all(
          Array.from({ length: 12 }, () => take(client).catch(() => undefined)),
        );
        for (const circuit of taken) circuit?.close();
        await sleep(clock, 12 * 60_000);
        (await take(client)).close();
      } finally {
        PathSelector.prototype.onFailed = onFailed;
      }
      assert.deepEqual(failed, []);
    }));
}
