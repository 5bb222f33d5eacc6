/**
 * Strangers open requests and say nothing more, or begin long ones and go on slowly, until a node
 * has no place for those of others: its pings are "busy", and records find no holder.
 *
 * @see protocol §3.6 "Limits"
 * @module
 */
import assert from "node:assert/strict";
import { sleep } from "../../lib/base/clock.ts";
import {
  inMemory,
  type LinkWorld,
  type TestNode,
} from "../node/link/link_world.ts";

/** Requests that one link may have under way. */
const EACH = 64;
const STRANGERS = 8;
const PING = "link.ping";

/** Open all the requests that strangers may, each with these first bytes. */
async function besiege(
  world: LinkWorld,
  target: TestNode,
  beginning: Uint8Array,
): Promise<void> {
  for (let stranger = 0; stranger < STRANGERS; stranger++) {
    const { connection } = await world.rawDial(target);
    for (let count = 0; count < EACH; count++) {
      const stream = await connection.openStream();
      await stream.write(beginning);
    }
  }
  await sleep(world.clock, 2000);
}

const SILENT = Uint8Array.of(0x01);
/** 60,000 bytes are announced, and none comes. */
const BEGUN = Uint8Array.of(0x01, 0, 0, 0xea, 0x60);

for (
  const [what, beginning] of [["silent", SILENT], ["long", BEGUN]] as const
) {
  Deno.test(`512 ${what} requests of eight strangers keep no other from being answered`, () =>
    inMemory(async (world) => {
      const target = await world.node();
      const honest = await world.node();
      await besiege(world, target, beginning);
      const link = await honest.table.getOrDial(target.peer);
      for (let count = 0; count < 20; count++) {
        await link.request(PING);
        await link.request("test.echo", new Uint8Array(100));
        await link.request("test.echo", new Uint8Array(17_000));
      }
      assert.equal(link.isOpen, true);
    }));
}

Deno.test("one stranger reads and answers slowly for itself alone", () =>
  inMemory(async (world) => {
    const target = await world.node();
    const { connection } = await world.rawDial(target);
    for (let count = 0; count < 100; count++) {
      const stream = await connection.openStream();
      await stream.write(BEGUN);
    }
    await sleep(world.clock, 100);
    const link = await (await world.node()).table.getOrDial(target.peer);
    await Promise.all(
      Array.from({ length: 40 }, () => link.request("test.echo")),
    );
  }));
