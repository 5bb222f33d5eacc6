import assert from "node:assert/strict";
import fc from "fast-check";
import { Identity } from "../../../lib/auth/identity.ts";
import { concat, utf8 } from "../../../lib/base/bytes.ts";
import { nativeSuite } from "../../../lib/crypto/native.ts";
import type { Delegation } from "../../../lib/service/delegation/delegation.ts";
import {
  decodeHostFile,
  encodeHostFile,
  MAX_HOST_FILE_BYTES,
} from "../../../lib/service/delegation/host_file.ts";
import { PERIOD_MS } from "../../../lib/service/time_period.ts";
import { delegated, delegatedIdentity } from "./delegations.ts";

const HOUR_MS = 3_600_000;
const crypto = nativeSuite();
const identity = delegatedIdentity(crypto);
const NOON = 20_000 * PERIOD_MS + 12 * HOUR_MS;
const [ONE, TWO] = delegated(crypto, NOON, { days: 1 });
assert.ok(ONE !== undefined && TWO !== undefined);
const read = (bytes: Uint8Array, unixMs = NOON) =>
  decodeHostFile(crypto, "a.host", bytes, unixMs);

Deno.test("a host file survives encoding", () => {
  for (const host of [ONE, TWO]) {
    const bytes = encodeHostFile(identity, host);
    assert.deepEqual(read(bytes), host);
  }
});

Deno.test("the longest host file is within its limit", () => {
  const hosts = Array.from({ length: 8 }, (_, n) => ({ slot: n + 1, born: 1 }));
  const [host] = delegated(crypto, NOON, { hosts, days: 30 });
  assert.ok(host !== undefined);
  const bytes = encodeHostFile(identity, host);
  assert.ok(bytes.length < MAX_HOST_FILE_BYTES);
  assert.deepEqual(read(bytes), host);
});

Deno.test("host files that were edited, cut or put together are refused (property)", () => {
  const bytes = encodeHostFile(identity, ONE);
  const head = utf8("anonnet host v1\n").length;
  fc.assert(
    fc.property(
      fc.integer({ min: head, max: bytes.length - 1 }),
      fc.integer({ min: 1, max: 255 }),
      (at, by) => {
        const edited = new Uint8Array(bytes);
        edited[at] = (edited[at] ?? 0) ^ by;
        assert.throws(() => read(edited), { code: "delegation.damaged" });
        const cut = bytes.subarray(0, at);
        assert.throws(() => read(cut), { code: "delegation.damaged" });
      },
    ),
    { numRuns: 60 },
  );
  const stranger = new Identity(crypto, new Uint8Array(32).fill(6));
  const wrong: Record<string, [Identity, Delegation]> = {
    "signed by another key": [stranger, ONE],
    "of another service": [identity, { ...ONE, service: stranger.publicKey }],
    "with the other host's seed": [identity, { ...ONE, seed: TWO.seed }],
    "with the other host's number": [identity, { ...ONE, slot: TWO.slot }],
    "of a host that is not named": [identity, { ...ONE, slot: 3 }],
    "without periods": [identity, { ...ONE, periods: [] }],
  };
  for (const [what, [signer, host]] of Object.entries(wrong)) {
    assert.throws(
      () => read(encodeHostFile(signer, host)),
      { code: "delegation.damaged" },
      what,
    );
  }
});

Deno.test("a host file says what is wrong with it", () => {
  const bytes = encodeHostFile(identity, ONE);
  const endMs = 20_002 * PERIOD_MS;
  assert.deepEqual(read(bytes, endMs - 1), ONE);
  assert.throws(() => read(bytes, endMs), {
    code: "delegation.lapsed",
    message: /good until 2024-10-06 00:00 UTC; run "anonnet delegate"/,
  });
  assert.throws(() => read(bytes, NOON - 24 * HOUR_MS), {
    code: "delegation.future",
    message: /set the clock/,
  });
  // A clock that is an hour behind is no reason to refuse.
  assert.deepEqual(read(bytes, NOON - HOUR_MS), ONE);
  const later = concat(utf8("anonnet host v2\n"), bytes.subarray(16));
  assert.throws(() => read(later), { code: "delegation.version" });
  for (const text of ["", "anonnet-ed25519-seed v1\n", "\u0000\u0001"]) {
    assert.throws(() => read(utf8(text)), {
      code: "delegation.file",
      message: /"a.host"/,
    });
  }
});
