/**
 * Relays as processes of their own, on loopback: they join one after the other,
 * find each other, and go on when some are killed.
 *
 *     DHT_RELAYS=24 deno task test tests/e2e/dht_processes_test.ts      or: deno task long:dht
 */
import assert from "node:assert/strict";
import { askList, askObject } from "../support/asked_node.ts";
import { untilFound } from "../support/polling.ts";
import {
  type NodeProcess,
  ProcessNetwork,
} from "../support/process_network.ts";

const RELAYS = Number(Deno.env.get("DHT_RELAYS") ?? 6);
/** Relays that are killed. */
const VICTIMS = Math.floor(RELAYS / 3);
/** The long version waits for the dead to be forgotten, which takes a minute or two. */
const IS_LONG = Deno.env.has("DHT_RELAYS");

const READY_MS = 5_000;
const KNOWN_MS = 60_000;
const FORGOTTEN_MS = 180_000;
/** Median of look-ups in spite of the dead: a failed call takes 5 s. */
const LOOKUP_MS = 3_000;
/** Contacts and copies of a record, at most (protocol §4.1 "Points and distances"). */
const K = 20;

function keyOf({ address }: NodeProcess): string {
  return address.slice("anon://".length).split("@")[0] ?? assert.fail();
}

async function contactsOf({ state }: NodeProcess): Promise<string[]> {
  return (await askList(state, "contacts"))
    .map(({ publicKey }) => String(publicKey));
}

/** Wait until a relay knows so many relays, itself included. */
async function knows(node: NodeProcess, relays: number): Promise<void> {
  await untilFound(
    async () => {
      const known = (await askObject(node.state, "status"))["relays"];
      const contacts = await contactsOf(node);
      const knowsAll = known === relays && contacts.length === relays - 1;
      return knowsAll || undefined;
    },
    KNOWN_MS,
    `${node.name} to know ${relays} relays`,
  );
}

/** A look-up of a random point by each of these, one after the other. */
async function lookUps(nodes: readonly NodeProcess[]): Promise<string[][]> {
  const results: string[][] = [];
  const times: number[] = [];
  for (const node of nodes) {
    const { closest, tookMs } = await askObject(node.state, "find-node");
    assert.ok(Array.isArray(closest));
    results.push(closest.map(String));
    times.push(Number(tookMs));
  }
  const median = times.sort((a, b) => a - b)[times.length >> 1] ?? 0;
  assert.ok(!IS_LONG || median <= LOOKUP_MS, `${times} ms`);
  return results;
}

Deno.test(`${RELAYS} relay processes find each other, and go on when ${VICTIMS} are killed`, async (t) => {
  /** A step without which the next makes no sense. */
  const step = async (name: string, fn: () => Promise<void>) =>
    assert.ok(await t.step(name, fn), name);
  await using network = await ProcessNetwork.start({ relays: 1 });
  const nodes = [...network.relays];

  await step("each is ready soon after its start", async () => {
    for (let index = 1; index < RELAYS; index++) {
      const beganMs = performance.now();
      nodes.push(
        await network.start("relay", `relay-${index}`, [
          "--listen=127.0.0.1:0",
        ]),
      );
      const tookMs = performance.now() - beganMs;
      assert.ok(!IS_LONG || tookMs <= READY_MS, `relay ${index}: ${tookMs} ms`);
    }
  });

  await step("each knows all within a minute", async () => {
    for (const node of nodes) await knows(node, RELAYS);
  });

  await t.step(
    "a look-up by any finds all that there are to find",
    async () => {
      for (const closest of await lookUps(nodes)) {
        assert.equal(closest.length, Math.min(K, RELAYS - 1));
      }
    },
  );

  const dead = nodes.filter((_, index) => index % 3 === 1);
  const alive = nodes.filter((node) => !dead.includes(node));
  const deadKeys = new Set(dead.map(keyOf));

  await t.step(
    "look-ups right after the kill find the living alone",
    async () => {
      assert.equal(dead.length, VICTIMS);
      for (const { process } of dead) process.signal("SIGKILL");
      await Promise.all(dead.map((node) => node.process.outcome()));
      for (let round = 0; round < 3; round++) {
        for (const closest of await lookUps(alive)) {
          // Who has not noticed yet names the dead among its 20.
          const least = Math.min(alive.length - 1, K - VICTIMS);
          assert.ok(closest.length >= least, `${closest.length} found`);
          assert.ok(!closest.some((key) => deadKeys.has(key)));
        }
      }
    },
  );

  await step("a newcomer joins in spite of the dead", async () => {
    const node = await network.start("relay", "newcomer", [
      "--listen=127.0.0.1:0",
    ]);
    const [closest] = await lookUps([node]);
    assert.ok((closest?.length ?? 0) >= Math.min(alive.length, K - VICTIMS));
  });

  if (!IS_LONG) return;
  await step("the dead leave all tables", async () => {
    for (const node of alive) {
      await untilFound(
        async () => {
          const contacts = await contactsOf(node);
          return contacts.some((key) => deadKeys.has(key)) ? undefined : true;
        },
        FORGOTTEN_MS,
        `${node.name} to forget the dead`,
      );
    }
  });
});
