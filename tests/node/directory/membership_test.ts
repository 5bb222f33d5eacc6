import assert from "node:assert/strict";
import { Identity } from "../../../lib/auth/identity.ts";
import { type Invite, signInvite } from "../../../lib/auth/invite.ts";
import { customNetwork, networkParameters } from "../../../lib/auth/network.ts";
import {
  formatNodeAddress,
  type NodeAddress,
} from "../../../lib/auth/node_address.ts";
import { nobleSuite } from "../../../lib/crypto/noble.ts";
import {
  makeInvite,
  MAX_INVITE_LIFE_MS,
} from "../../../lib/node/directory/make_invite.ts";
import {
  MAX_KEPT_INVITES,
  Membership,
  type MembershipWish,
} from "../../../lib/node/directory/membership.ts";
import { StateDirectory } from "../../../lib/storage/state_directory.ts";
import { inNodeWorld, type Machine, type NodeWorld } from "../node_world.ts";

const OTHER = customNetwork({
  name: "other",
  powDifficulty: 0,
  allowPrivateAddresses: true,
});

Deno.test("Node.start() refuses a state directory of another network, and says of which it is", () =>
  inNodeWorld(async (world) => {
    const machine = world.machine();
    {
      await using _node = await machine.startRelay();
    }
    const before = await machine.files.list("state");
    for (const options of [{}, { client: machine.client }]) {
      await assert.rejects(machine.startRelay({ network: OTHER, ...options }), {
        name: "ConfigError",
        code: "storage.network",
        message:
          'Cannot use state directory "state": it is of network "local", and ' +
          'not of "other"; add --network local, or name another with --state',
      });
    }
    assert.deepEqual(await machine.files.list("state"), before);
    await using _again = await machine.startRelay();
  }));

Deno.test("Node.start() takes a state directory that does not say its network for one of its own", () =>
  inNodeWorld(async (world) => {
    const machine = world.machine();
    for (const damage of ["none", "torn"] as const) {
      {
        await using _node = await machine.startRelay();
      }
      if (damage === "none") await machine.files.remove("state/network.blob");
      else machine.files.plant("state/network.blob", new Uint8Array(20));
    }
    {
      await using _node = await machine.startRelay({ network: OTHER });
    }
    await assert.rejects(
      machine.startRelay({ network: networkParameters("local") }),
      { code: "storage.network" },
    );
  }));

const crypto = nobleSuite();
const HOUR_MS = 3_600_000;

/** An invite to a network, by the key of a number. */
function inviteTo(
  world: NodeWorld,
  relays: readonly NodeAddress[],
  { key = 1, network = OTHER, lifeMs = HOUR_MS } = {},
): Invite {
  using identity = new Identity(crypto, new Uint8Array(32).fill(key));
  const expiryMs = world.clock.unixMs() + lifeMs;
  return signInvite(crypto, identity, { network, relays, expiryMs });
}

function relay(number: number): NodeAddress {
  const { publicKey } = new Identity(crypto, new Uint8Array(32).fill(number));
  return { publicKey, address: { host: `10.9.${number}.1`, port: 4001 } };
}

/** Look into a machine's state directory while no node runs on it. */
async function inState<T>(
  machine: Machine,
  wish: MembershipWish,
  use: (membership: Membership) => Promise<T> | T,
): Promise<T> {
  using state = await StateDirectory.open("state", {
    files: machine.files,
    crypto,
    holder: "test",
    onSetAside: () => {},
  });
  return await use(await Membership.open(state, wish, machine.runtime));
}

/** Take an invite, as `anonnet join` does. */
function join(machine: Machine, ...invites: readonly Invite[]): Promise<void> {
  return inState(
    machine,
    { invites },
    (membership) => membership.claim({ isFirst: false }),
  );
}

Deno.test("Node.start() joins the network of an invite, and later again without it", () =>
  inNodeWorld(async (world) => {
    await using first = await world.machine().startRelay({ network: OTHER });
    const invite = inviteTo(world, [first.address]);
    const machine = world.machine();
    for (const invites of [[invite], []]) {
      await using relay = await machine.startRelay({
        network: undefined,
        invites,
      });
      assert.equal(relay.node.network.name, "other");
      assert.equal(relay.relay.links.links.length, 1);
    }
  }));

Deno.test("Node.start() needs nothing but what anonnet join remembered", () =>
  inNodeWorld(async (world) => {
    await using first = await world.machine().startRelay({ network: OTHER });
    const machine = world.machine();
    await join(machine, inviteTo(world, [relay(70), first.address]));
    await using second = await machine.startRelay({ network: undefined });
    assert.deepEqual(
      second.relay.links.links[0]?.peerKey,
      first.address.publicKey,
    );
  }));

Deno.test("Node.start() asks the relays of all invites and those that it is told, and leaves none out", () =>
  inNodeWorld(async (world) => {
    await using first = await world.machine().startRelay({ network: OTHER });
    // Each source alone is enough, whatever the others name.
    for (const at of [0, 1, 2]) {
      const sources = [relay(71), relay(72), relay(73)].map((dead, index) =>
        index === at ? first.address : dead
      );
      const [told, older, newer] = sources;
      assert.ok(told && older && newer);
      const machine = world.machine();
      await join(machine, inviteTo(world, [older]), inviteTo(world, [newer]));
      await using second = await machine.startRelay({
        network: undefined,
        bootstrap: [told],
      });
      assert.equal(second.relay.links.links.length, 1);
    }
  }));

Deno.test("Membership keeps the key of the first invite, and refuses another one's in words", () =>
  inNodeWorld(async (world) => {
    const machine = world.machine();
    await join(machine, inviteTo(world, [relay(1)]));
    const other = inviteTo(world, [relay(2)], { key: 2 });
    await assert.rejects(join(machine, other), {
      name: "ConfigError",
      code: "auth.invite_other_key",
      message: /signed by .*, and network "other" has the key .*or forged/,
    });
    await assert.rejects(
      machine.startRelay({ network: undefined, invites: [other] }),
      { code: "auth.invite_other_key" },
    );
    await join(machine, inviteTo(world, [relay(3)]));
    await inState(machine, {}, ({ relays, invites }) => {
      assert.equal(invites.length, 2);
      assert.deepEqual(
        relays.map(formatNodeAddress),
        [relay(3), relay(1)].map(formatNodeAddress),
      );
    });
  }));

Deno.test("Membership refuses an invite to another network, or with other parameters", () =>
  inNodeWorld(async (world) => {
    const machine = world.machine();
    await join(machine, inviteTo(world, [relay(1)]));
    const network = networkParameters("local");
    await assert.rejects(
      join(machine, inviteTo(world, [relay(1)], { network })),
      { code: "auth.invite_network" },
    );
    const strict = customNetwork({ ...OTHER, powDifficulty: 1 });
    await assert.rejects(
      join(machine, inviteTo(world, [relay(1)], { network: strict })),
      { code: "auth.invite_terms" },
    );
    const fresh = world.machine();
    await assert.rejects(
      fresh.startRelay({ invites: [inviteTo(world, [relay(1)])] }),
      { code: "auth.invite_network", message: /and this node is in "local"/ },
    );
    assert.equal(await fresh.files.read("state/network.blob"), undefined);
    await assert.rejects(machine.startRelay({ network: strict }), {
      code: "storage.network_terms",
    });
  }));

Deno.test("Membership refuses a lapsed invite, and keeps one that lapses later", () =>
  inNodeWorld(async (world) => {
    await using first = await world.machine().startRelay({ network: OTHER });
    const machine = world.machine();
    const invite = inviteTo(world, [first.address]);
    await assert.rejects(
      join(machine, inviteTo(world, [first.address], { lifeMs: -60_000 })),
      { code: "auth.invite_lapsed" },
    );
    await join(machine, invite);
    machine.runtime.clock.unixMs = () => invite.expiryMs + HOUR_MS;
    // As from a configuration file that has the line.
    await join(machine, invite);
    await inState(machine, {}, ({ relays }) => assert.equal(relays.length, 1));
  }));

Deno.test("Membership keeps the newest invites, a few", () =>
  inNodeWorld(async (world) => {
    const machine = world.machine();
    for (let number = 1; number <= MAX_KEPT_INVITES + 2; number++) {
      await join(machine, inviteTo(world, [relay(number)]));
    }
    await inState(machine, {}, ({ relays }) =>
      assert.deepEqual(
        relays.map(formatNodeAddress),
        [6, 5, 4, 3].map(relay).map(formatNodeAddress),
      ));
  }));

Deno.test("Membership that is damaged is done without, and an invite mends it", () =>
  inNodeWorld(async (world) => {
    const machine = world.machine();
    const invite = inviteTo(world, [relay(1)]);
    await join(machine, invite);
    machine.files.plant("state/membership.blob", new Uint8Array(50));
    await assert.rejects(machine.startRelay({ network: undefined }), {
      code: "storage.network_terms",
      message: /give an invite to it, with anonnet join/,
    });
    await join(machine, invite);
    await inState(
      machine,
      {},
      ({ network }) => assert.deepEqual(network, OTHER),
    );
  }));

Deno.test("Membership finds its network where network.blob is lost, and keeps no invite for another one", () =>
  inNodeWorld(async (world) => {
    const machine = world.machine();
    await join(machine, inviteTo(world, [relay(1)]));
    await machine.files.remove("state/network.blob");
    await inState(machine, {}, ({ network, relays }) => {
      assert.deepEqual(network, OTHER);
      assert.equal(relays.length, 1);
    });
    const network = networkParameters("local");
    await inState(machine, { network }, (membership) => {
      assert.equal(membership.network, network);
      assert.deepEqual(membership.relays, []);
      assert.equal(membership.networkKey, undefined);
    });
  }));

Deno.test("Node.start() of a relay does not wait for itself where an invite names it", () =>
  inNodeWorld(async (world) => {
    const machine = world.machine();
    let address: NodeAddress;
    {
      await using first = await machine.startRelay({ network: OTHER });
      address = first.address;
    }
    await join(machine, inviteTo(world, [address]));
    await using _again = await machine.startRelay({ network: undefined });
  }));

Deno.test("Node.start() of a client that knows no relay leaves the directory to any network", () =>
  inNodeWorld(async (world) => {
    const machine = world.machine();
    const { client } = machine;
    await assert.rejects(
      machine.start({ network: undefined, client }),
      { code: "node.no_bootstrap", message: /anonnet join/ },
    );
    await join(machine, inviteTo(world, [relay(1)]));
    await inState(
      machine,
      {},
      ({ network }) => assert.equal(network.name, "other"),
    );
  }));

Deno.test("makeInvite() has the first node of a network make the key, once, and no other node", () =>
  inNodeWorld(async (world) => {
    const [machine, other] = [world.machine(), world.machine()];
    let address: NodeAddress;
    {
      await using first = await machine.startRelay();
      address = first.address;
      await using _second = await other.startRelay({ bootstrap: [address] });
    }
    const wish = { lifeMs: HOUR_MS, mostRelays: 8 };
    const make = (on: Machine) =>
      inState(
        on,
        {},
        (membership) => makeInvite(membership, [address], wish, on.runtime),
      );
    const made = await make(machine);
    assert.equal(made.by, "new_key");
    const again = await make(machine);
    assert.equal(again.by, "key");
    assert.deepEqual(again.invite.networkKey, made.invite.networkKey);
    await assert.rejects(make(other), {
      code: "node.no_network_key",
      message: /does not hold the key of network "local", and it joined by no/,
    });
    // A node with a copy of the key makes invites, too.
    other.files.plant(
      "state/network.key",
      await machine.files.read("state/network.key") ?? new Uint8Array(),
    );
    const third = await make(other);
    assert.equal(third.by, "key");
    assert.deepEqual(third.invite.networkKey, made.invite.networkKey);
  }));

Deno.test("makeInvite() passes on the invite that is valid longest, and none that has lapsed", () =>
  inNodeWorld(async (world) => {
    const machine = world.machine();
    const long = inviteTo(world, [relay(1)], { lifeMs: 3 * HOUR_MS });
    await join(machine, long, inviteTo(world, [relay(2)]));
    const make = (lifeMs: number) =>
      inState(machine, {}, (membership) =>
        makeInvite(
          membership,
          [relay(3)],
          { lifeMs, mostRelays: 8 },
          machine.runtime,
        ));
    const { invite, by } = await make(HOUR_MS);
    assert.equal(by, "passed_on");
    assert.deepEqual(invite.encoded, long.encoded);
    for (const lifeMs of [0, NaN, -1, MAX_INVITE_LIFE_MS + 1]) {
      await assert.rejects(make(lifeMs), { code: "node.invite_life" });
    }
    machine.runtime.clock.unixMs = () => long.expiryMs;
    await assert.rejects(make(HOUR_MS), {
      code: "node.no_network_key",
      message: /the invites that it joined by have lapsed/,
    });
  }));
