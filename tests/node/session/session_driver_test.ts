import assert from "node:assert/strict";
import { VirtualClock } from "../../../lib/base/virtual_clock.ts";
import { nativeSuite } from "../../../lib/crypto/native.ts";
import type {
  CellPort,
  LegCarrier,
} from "../../../lib/node/circuit/leg_carrier.ts";
import { SessionDriver } from "../../../lib/node/session/session_driver.ts";
import {
  FEW_ACK_DELAY_MS,
  SESSION_CELL_BYTES,
} from "../../../lib/session/leg.ts";
import { SessionQuota } from "../../../lib/session/quota.ts";
import { Session } from "../../../lib/session/session.ts";
import { createDrain } from "../../../lib/sim/world/drain.ts";

/** A circuit that takes cells when the test says so. */
class SlowCarrier implements LegCarrier {
  readonly closed = new Promise<never>(() => {});
  readonly taken: Uint8Array[] = [];
  takesCells = true;
  wakes = 0;
  #port: CellPort | undefined;

  attach(port: CellPort): void {
    this.#port = port;
  }

  wake(): void {
    this.wakes++;
    while (this.takesCells) {
      const body = new Uint8Array(SESSION_CELL_BYTES);
      if (this.#port?.fill(body) !== true) return;
      this.taken.push(body);
    }
  }

  /** A cell of the other end arrives. */
  deliver(cell: Uint8Array): void {
    this.#port?.onCell(cell);
  }

  close(): void {}
}

Deno.test("SessionDriver looks at leisure at an acknowledgement that is overdue and cannot leave", async () => {
  const clock = new VirtualClock({ drain: createDrain(), maxEvents: 10_000 });
  const crypto = nativeSuite();
  const secret = new Uint8Array(32).fill(7);
  const quota = new SessionQuota();
  const end = (role: "client" | "service") =>
    new SessionDriver(
      new Session({ crypto, role, secret, quota }, clock.nowMs()),
      clock,
    );
  const client = end("client");
  const service = end("service");
  const near = new SlowCarrier();
  const far = new SlowCarrier();
  client.addLeg(0, near);
  service.addLeg(0, far);
  const stream = client.openStream(80);
  await clock.advance(0);
  assert.equal(near.taken.length, 1, "the cell that opens the stream");
  far.takesCells = false;
  for (const cell of near.taken) far.deliver(cell);

  await clock.advance(FEW_ACK_DELAY_MS);
  far.wakes = 0;
  await clock.advance(1_000);
  assert.deepEqual(far.taken, [], "no cell has left");
  assert.ok(far.wakes >= 100, `${far.wakes} looks in a second are too few`);
  assert.ok(far.wakes <= 250, `${far.wakes} looks in a second are too many`);

  far.takesCells = true;
  await clock.advance(10);
  assert.equal(far.taken.length, 1, "it leaves once the leg takes cells");
  far.wakes = 0;
  await clock.advance(300);
  assert.equal(far.wakes, 0, "nothing is overdue any more");

  client.close();
  service.close();
  assert.equal((await stream.closed).how, "reset");
});

Deno.test("SessionDriver sends the last bytes of a stream and its end in one cell", async () => {
  const clock = new VirtualClock({ drain: createDrain(), maxEvents: 10_000 });
  const secret = new Uint8Array(32).fill(7);
  const quota = new SessionQuota();
  const client = new SessionDriver(
    new Session({ crypto: nativeSuite(), role: "client", secret, quota }, 0),
    clock,
  );
  const carrier = new SlowCarrier();
  client.addLeg(0, carrier);
  const stream = client.openStream(80);
  await clock.advance(0);
  const before = carrier.taken.length;
  await stream.closeWrite(new Uint8Array(100));
  await clock.advance(0);
  assert.equal(carrier.taken.length - before, 1);
  client.close();
});
