/** What programs at Tor's control port wish for, of services among fake circuits. */
import assert from "node:assert/strict";
import type { PublicKey } from "../../../lib/auth/identity.ts";
import type { Bytes } from "../../../lib/base/bytes.ts";
import { RecordingLog } from "../../support/recording_log.ts";
import { ClientKeys } from "../../../lib/node/host/service_keys.ts";
import {
  NodeForPrograms,
  type NodeForProgramsOptions,
} from "../../../lib/node/torcontrol/node_for_programs.ts";
import { OnionNames } from "../../../lib/node/torcontrol/onion_names.ts";
import type { OnionRequest } from "../../../lib/torcontrol/onion_request.ts";
import type { TorEvent } from "../../../lib/torcontrol/tor_event.ts";
import {
  inServiceWorld,
  NEVER,
  type ServiceWorld,
} from "../session/service_world.ts";
import { openHosted } from "../services/services_world.ts";

const ADDRESS = { host: "127.0.0.1", port: 9 } as const;
const REQUEST: OnionRequest = {
  secret: undefined,
  targets: new Map([[80, { type: "tcp", address: ADDRESS }]]),
  isDetached: false,
  isKeyDiscarded: false,
  clients: [],
  maxStreams: 0,
};

const codeOf = (work: Promise<unknown>) =>
  work.then(() => "done", (error) => error.code);

/** A node that programs may come to, and what it said. */
async function openNode(
  world: ServiceWorld,
  stack: AsyncDisposableStack,
  change: Partial<NodeForProgramsOptions> = {},
) {
  const opened = await openHosted(world, stack);
  const { crypto, random, clock } = opened.context;
  const clientKeys = new ClientKeys(opened.state, { crypto, random });
  const events: TorEvent[] = [];
  const names = new OnionNames(crypto, "alias");
  const node = stack.use(
    new NodeForPrograms({
      parts: {},
      names,
      clientKeys,
      crypto,
      random,
      clock,
      log: new RecordingLog(),
      tail: undefined,
      wishes: { stop() {}, reload: () => false },
      takesForeignKeys: false,
      isAutomapping: false,
      stateDirectory: "/state",
      traffic: () => ({ bytesIn: 0, bytesOut: 0 }),
      streams: () => [],
      onEvent: (event) => events.push(event),
      ...change,
    }),
  );
  return { ...opened, node, names, events, clientKeys };
}

function keyOf(names: OnionNames, id: string): PublicKey {
  return names.keyOf(id) ?? assert.fail(id);
}

Deno.test("NodeForPrograms hosts a service under the name that the alias has, and tells of its descriptor", () =>
  inServiceWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const { node, names, events, hosted } = await openNode(world, stack);
    await using program = node.admit();
    const adding = program.addOnion(REQUEST);
    node.onHosted(hosted);
    const { id, secret, onAnswered } = await adding;
    assert.equal(secret?.length, 64);
    assert.equal(events.length, 0);
    onAnswered();
    assert.equal(events[0]?.text, `HS_DESC UPLOAD ${id} UNKNOWN UNKNOWN`);
    assert.equal(events[0]?.only, program, "no other program's");
    const { visits } = world.client();
    // The target refuses: all the way to it was gone.
    const stream = await visits.connect({
      service: keyOf(names, id),
      port: 80,
      isolation: "a",
    }, { signal: NEVER });
    await stream.opened.catch(() => {});
    assert.ok(
      events.some(({ text, only }) =>
        text === `HS_DESC UPLOADED ${id} UNKNOWN UNKNOWN` && only === program
      ),
    );
    const detached = await program.addOnion({ ...REQUEST, isDetached: true });
    detached.onAnswered();
    const last = events.findLast(({ text }) => text.includes(detached.id));
    assert.equal(last?.only, undefined);
    assert.ok(last !== undefined);
    await program.removeOnion(detached.id);
    assert.deepEqual(program.onions, [{ id, owner: "mine" }]);
  }));

Deno.test("NodeForPrograms gives an address back by the key that was told, and refuses keys in use and of elsewhere", () =>
  inServiceWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const { node, hosted } = await openNode(world, stack);
    node.onHosted(hosted);
    await using program = node.admit();
    const { id, secret = assert.fail() } = await program.addOnion(REQUEST);
    const again = () =>
      program.addOnion({ ...REQUEST, secret: secret.slice() });
    assert.equal(await codeOf(again()), "service.key_in_use");
    assert.ok(await program.removeOnion(id));
    assert.equal((await again()).id, id);
    const foreign = secret.slice();
    foreign[40] = (foreign[40] ?? 0) ^ 1;
    foreign[1] = (foreign[1] ?? 0) ^ 1;
    const bad = { ...REQUEST, secret: foreign };
    assert.equal(await codeOf(program.addOnion(bad)), "service.foreign_key");
    const unclamped = { ...REQUEST, secret: new Uint8Array(64).fill(0xff) };
    assert.equal(await codeOf(program.addOnion(unclamped)), "service.key");
  }));

Deno.test("NodeForPrograms takes keys of elsewhere where its operator says so", () =>
  inServiceWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const { node, hosted } = await openNode(world, stack, {
      takesForeignKeys: true,
    });
    node.onHosted(hosted);
    await using program = node.admit();
    const secret = new Uint8Array(64).fill(0x48);
    const { id } = await program.addOnion({ ...REQUEST, secret });
    assert.deepEqual(program.onions, [{ id, owner: "mine" }]);
  }));

Deno.test("NodeForPrograms ends services with their program, keeps detached ones, and shows no program another's", () =>
  inServiceWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const { node, hosted } = await openNode(world, stack);
    node.onHosted(hosted);
    const first = node.admit();
    await using second = node.admit();
    const mine = await first.addOnion(REQUEST);
    const lasting = await first.addOnion({ ...REQUEST, isDetached: true });
    assert.ok(!await second.removeOnion(mine.id));
    const owners = () =>
      new Map(second.onions.map(({ id, owner }) => [id, owner]));
    assert.deepEqual(
      owners(),
      new Map([[mine.id, "other"], [lasting.id, "detached"]]),
    );
    // A second wish for it, detached, opens it to no other program.
    const { secret = assert.fail() } = mine;
    const taken = { ...REQUEST, secret: secret.slice(), isDetached: true };
    assert.equal(await codeOf(second.addOnion(taken)), "service.key_in_use");
    assert.ok(!await second.removeOnion(mine.id));
    await first[Symbol.asyncDispose]();
    assert.deepEqual(owners(), new Map([[lasting.id, "detached"]]));
    // Also as the first thing that a program says.
    await using third = node.admit();
    assert.ok(await third.removeOnion(lasting.id));
    assert.ok(!await second.removeOnion(lasting.id));
    assert.deepEqual(second.onions, []);
  }));

Deno.test("NodeForPrograms leaves services of the operator to the operator", () =>
  inServiceWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const { node, names, hosted } = await openNode(world, stack);
    node.onHosted(hosted);
    const { host } = await hosted.add({
      key: { type: "new" },
      targets: REQUEST.targets,
      keep: "memory",
    });
    await using program = node.admit();
    assert.ok(!await program.removeOnion(names.nameOfHost(host)));
    assert.equal(program.onions[0]?.owner, "other");
  }));

Deno.test("NodeForPrograms leaves nothing of a program that went before services could be added", () =>
  inServiceWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const { node, hosted } = await openNode(world, stack);
    const program = node.admit();
    const adding = codeOf(program.addOnion(REQUEST));
    await program[Symbol.asyncDispose]();
    assert.equal(await adding, "torcontrol.gone");
    node.onHosted(hosted);
    assert.deepEqual(hosted.list(), []);
  }));

Deno.test("NodeForPrograms lets in clients that have an X25519 key alone, and no others", () =>
  inServiceWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const { node, names, hosted, clientKeys } = await openNode(world, stack);
    node.onHosted(hosted);
    await using program = node.admit();
    const secret: Bytes = new Uint8Array(32).fill(7);
    const half = world.crypto.x25519Public(secret);
    const { id } = await program.addOnion({ ...REQUEST, clients: [half] });
    const service = keyOf(names, id);
    const visit = async () => {
      const { visits } = world.client({
        clientSecrets: (wanted) => clientKeys.secret(wanted),
      });
      const target = { service, port: 80, isolation: "a" };
      const stream = await visits.connect(target, { signal: NEVER });
      return await codeOf(stream.opened);
    };
    assert.equal(await codeOf(visit()), "service.authorisation_missing");
    const wrong: Bytes = new Uint8Array(32).fill(8);
    assert.ok(node.addCredential({ service, secret: wrong }));
    assert.equal(await codeOf(visit()), "service.authorisation_wrong");
    assert.ok(!node.addCredential({ service, secret }));
    // Let in; behind it there is no target, which shows sooner or later.
    assert.match(await visit(), /^service\.(refused|timeout)$/);
    assert.deepEqual(node.credentials, [{ service, secret }]);
    assert.ok(node.removeCredential(service));
    assert.equal(await codeOf(visit()), "service.authorisation_missing");
    const low = { ...REQUEST, clients: [new Uint8Array(32).fill(0)] };
    assert.equal(await codeOf(program.addOnion(low)), "service.client_key");
  }));

Deno.test("NodeForPrograms tells in Tor's words how far the node is", () =>
  inServiceWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const { node } = await openNode(world, stack);
    assert.equal(node.progress.percent, 0);
    assert.equal(
      node.signal("new_identity"),
      "The node builds no circuits yet",
    );
    assert.equal(node.signal("reload"), "There is no file to read again");
    assert.equal(node.signal("heartbeat"), undefined);
  }));
