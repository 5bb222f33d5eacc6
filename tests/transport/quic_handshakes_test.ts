import assert from "node:assert/strict";
import {
  HANDSHAKE_GRACE_MS,
  QuicHandshakes,
  type YoungConn,
} from "../../lib/transport/_quic_handshakes.ts";
import { CLOSE_BUSY } from "../../lib/transport/transport.ts";

/** A connection whose handshake goes as the test says. */
class FakeConn implements YoungConn {
  readonly #handshake = Promise.withResolvers<void>();
  readonly #closed = Promise.withResolvers<Deno.QuicCloseInfo>();
  readonly handshake = this.#handshake.promise;
  readonly closed = this.#closed.promise;
  closeCode: number | undefined;

  succeed(): void {
    this.#handshake.resolve();
  }

  /** As the runtime does it: the handshake resolves all the same. */
  fail(): void {
    this.#handshake.resolve();
    this.#closed.reject(new Error("aborted by peer"));
  }

  reject(): void {
    this.#handshake.reject(new Error("lost"));
  }

  close(info?: Deno.QuicCloseInfo): void {
    this.closeCode = info?.closeCode;
    this.#handshake.resolve();
    this.#closed.resolve({ closeCode: 0, reason: "" });
  }
}

function table(max: number) {
  const time = { nowMs: 0 };
  return { time, handshakes: new QuicHandshakes(max, () => time.nowMs) };
}

Deno.test("QuicHandshakes tells handshakes that succeed from those that fail", async () => {
  const { handshakes } = table(8);
  for (
    const [end, expected] of [
      ["succeed", true],
      ["fail", false],
      ["reject", false],
      ["close", false],
    ] as const
  ) {
    const conn = new FakeConn();
    const completed = handshakes.complete(conn);
    conn[end]();
    assert.equal(await completed, expected, end);
  }
});

Deno.test("QuicHandshakes gives back the place of a finished handshake", async () => {
  const { handshakes } = table(1);
  for (const end of ["succeed", "fail", "reject"] as const) {
    const conn = new FakeConn();
    const completed = handshakes.complete(conn);
    assert.equal(handshakes.makeRoom(), false);
    conn[end]();
    await completed;
    assert.equal(handshakes.makeRoom(), true);
  }
});

Deno.test("QuicHandshakes lets the oldest give way, but not before its grace", async () => {
  const { time, handshakes } = table(3);
  const conns = [new FakeConn(), new FakeConn(), new FakeConn()];
  const completed = conns.map((conn) => {
    time.nowMs += 10;
    return handshakes.complete(conn);
  });
  time.nowMs = 10 + HANDSHAKE_GRACE_MS - 1;
  assert.equal(handshakes.makeRoom(), false);
  assert.deepEqual(conns.map((conn) => conn.closeCode), [
    undefined,
    undefined,
    undefined,
  ]);
  time.nowMs += 1;
  assert.equal(handshakes.makeRoom(), true);
  assert.deepEqual(conns.map((conn) => conn.closeCode), [
    CLOSE_BUSY,
    undefined,
    undefined,
  ]);
  assert.equal(await completed[0], false);
  handshakes.complete(new FakeConn());
  assert.equal(handshakes.makeRoom(), false, "the next one is younger");
});

Deno.test("QuicHandshakes never holds more than it may, whatever the flood", () => {
  const { time, handshakes } = table(16);
  const conns: FakeConn[] = [];
  let admitted = 0;
  for (let i = 0; i < 5_000; i++) {
    time.nowMs += 1;
    if (!handshakes.makeRoom()) continue;
    const conn = new FakeConn();
    conns.push(conn);
    handshakes.complete(conn);
    admitted++;
  }
  const open = conns.filter((conn) => conn.closeCode === undefined);
  assert.equal(open.length, 16);
  // And not more than its places per grace: 16 in each half second.
  assert(admitted <= 16 * (5_000 / HANDSHAKE_GRACE_MS + 1), `${admitted}`);
});
