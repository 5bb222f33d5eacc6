import assert from "node:assert/strict";
import fc from "fast-check";
import type { SocketAddress } from "../../lib/auth/socket_address.ts";
import {
  DEFAULT_ROOM_LIMITS,
  LinkRoom,
  type RoomLimits,
} from "../../lib/link/link_room.ts";

const GRACE_MS = 1000;

interface Knock {
  readonly remoteAddress: SocketAddress;
}

interface Idle {
  readonly usedMs: number;
}

function roomOf(
  limits: Partial<RoomLimits>,
  { isOneHost } = { isOneHost: false },
): LinkRoom<Knock, Idle> {
  return new LinkRoom(
    { ...DEFAULT_ROOM_LIMITS, handshakeGraceMs: GRACE_MS, ...limits },
    { isOneHost },
  );
}

function knock(host: string): Knock {
  return { remoteAddress: { host, port: 4433 } };
}

Deno.test("LinkRoom turns away every connection while the node is overloaded", () => {
  const room = roomOf({});
  const verdict = room.onConnection(knock("1.2.3.4"), "overloaded", 0);
  assert.deepEqual(verdict, { type: "refuse" });
  assert.equal(room.handshakes, 0);
});

Deno.test("LinkRoom gives a host its part, and no other host pays for it", () => {
  const room = roomOf({ linksPerHost: 2, handshakes: 2 });
  const [one, two] = [knock("1.2.3.4"), knock("1.2.3.4")];
  assert.equal(room.onConnection(one, "normal", 0).type, "answer");
  assert.equal(room.onConnection(two, "normal", 0).type, "answer");
  // The host has its part: even a handshake past its grace stays.
  const third = room.onConnection(knock("1.2.3.4"), "normal", 2 * GRACE_MS);
  assert.deepEqual(third, { type: "refuse" });
  assert.equal(room.handshakes, 2);
  const other = room.onConnection(knock("5.6.7.8"), "normal", 2 * GRACE_MS);
  assert.deepEqual(other, { type: "answer", evicted: one });
});

Deno.test("LinkRoom counts one IPv6 /64 as one host", () => {
  const room = roomOf({ linksPerHost: 1 });
  assert.equal(
    room.onConnection(knock("2001:db8:0:1::1"), "normal", 0).type,
    "answer",
  );
  assert.equal(
    room.onConnection(knock("2001:db8:0:1::2"), "normal", 0).type,
    "refuse",
  );
  assert.equal(
    room.onConnection(knock("2001:db8:0:2::1"), "normal", 0).type,
    "answer",
  );
});

Deno.test("LinkRoom gives a host its part back when a connection ends, not its handshake", () => {
  const room = roomOf({ linksPerHost: 1 });
  const first = knock("1.2.3.4");
  room.onConnection(first, "normal", 0);
  room.onHandshakeEnd(first);
  assert.equal(room.handshakes, 0);
  const early = room.onConnection(knock("1.2.3.4"), "normal", 0);
  assert.equal(early.type, "refuse");
  room.onConnectionEnd(first);
  room.onConnectionEnd(first); // only once
  assert.equal(
    room.onConnection(knock("1.2.3.4"), "normal", 0).type,
    "answer",
  );
  assert.equal(
    room.onConnection(knock("1.2.3.4"), "normal", 0).type,
    "refuse",
  );
});

Deno.test("LinkRoom gives a host its part back although the peer moved meanwhile", () => {
  const room = roomOf({ linksPerHost: 1 });
  const moving = { remoteAddress: { host: "1.2.3.4", port: 1 } };
  room.onConnection(moving, "normal", 0);
  moving.remoteAddress = { host: "5.6.7.8", port: 1 };
  room.onConnectionEnd(moving);
  assert.equal(
    room.onConnection(knock("1.2.3.4"), "normal", 0).type,
    "answer",
  );
});

Deno.test("LinkRoom of a network on one machine has no part per host", () => {
  const room = roomOf({ linksPerHost: 1, handshakes: 100 }, {
    isOneHost: true,
  });
  for (let count = 0; count < 100; count++) {
    const verdict = room.onConnection(knock("127.0.0.1"), "normal", 0);
    assert.equal(verdict.type, "answer");
  }
});

Deno.test("LinkRoom refuses a connection without keeping its host's part", () => {
  const room = roomOf({ linksPerHost: 1, handshakes: 1 });
  const silent = knock("1.2.3.4");
  room.onConnection(silent, "normal", 0);
  assert.equal(room.onConnection(knock("5.6.7.8"), "normal", 1).type, "refuse");
  room.onHandshakeEnd(silent);
  assert.equal(room.onConnection(knock("5.6.7.8"), "normal", 2).type, "answer");
});

Deno.test("LinkRoom.forPeer() replaces the oldest link of a peer that has its part", () => {
  const room = roomOf({ linksPerKey: 2, links: 2 });
  const [older, newer] = [{ usedMs: 0 }, { usedMs: 5 }];
  const full = { size: 2, idlest: { usedMs: Infinity } };
  assert.deepEqual(room.forPeer(full, [older, newer], 0), {
    type: "replace",
    link: older,
  });
  assert.deepEqual(room.forPeer(full, [newer], 0), { type: "full" });
});

Deno.test("LinkRoom evicts for a peer what is idle long enough, for a dial of ours what is idle", () => {
  const room = roomOf({ links: 1, evictIdleMs: 30_000 });
  const link = { usedMs: 1000 };
  const links = { size: 1, idlest: link };
  assert.deepEqual(room.forPeer(links, [], 30_999), { type: "full" });
  assert.deepEqual(room.forPeer(links, [], 31_000), { type: "evict", link });
  assert.deepEqual(room.forDial(links, 1000), { type: "evict", link });
  assert.deepEqual(room.forDial({ size: 0, idlest: undefined }, 0), {
    type: "room",
  });
});

Deno.test("LinkRoom never evicts a link in use, for a peer or for a dial", () => {
  const room = roomOf({ links: 1 });
  for (const idlest of [undefined, { usedMs: Infinity }]) {
    const links = { size: 1, idlest };
    assert.deepEqual(room.forPeer(links, [], 1e9), { type: "full" });
    assert.deepEqual(room.forDial(links, 1e9), { type: "full" });
  }
});

Deno.test("LinkRoom never answers more than its limits, in every order of events", () => {
  const event = fc.record({
    type: fc.constantFrom("knock", "shaken", "closed"),
    host: fc.nat(3),
    pick: fc.nat(),
    laterMs: fc.nat(GRACE_MS),
  });
  fc.assert(fc.property(fc.array(event, { maxLength: 200 }), (events) => {
    const room = roomOf({ linksPerHost: 3, handshakes: 4 });
    const open = new Set<Knock>();
    let nowMs = 0;
    for (const { type, host, pick, laterMs } of events) {
      nowMs += laterMs;
      const chosen = [...open][pick % (open.size || 1)];
      if (type === "knock") {
        const newcomer = knock(`10.0.0.${host}`);
        const verdict = room.onConnection(newcomer, "normal", nowMs);
        if (verdict.type === "answer") open.add(newcomer);
      } else if (chosen !== undefined) {
        room.onHandshakeEnd(chosen);
        if (type === "closed") {
          room.onConnectionEnd(chosen);
          open.delete(chosen);
        }
      }
      assert.ok(room.handshakes <= 4);
      const perHost = Map.groupBy(open, (each) => each.remoteAddress.host);
      for (const ofHost of perHost.values()) assert.ok(ofHost.length <= 3);
    }
  }));
});
