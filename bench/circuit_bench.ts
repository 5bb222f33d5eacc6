/**
 * What cells and handshakes cost in computation alone: no sockets.
 *
 *     deno bench bench/circuit_bench.ts
 *
 * @module
 */
import { type Random, seededRandom } from "../lib/base/random.ts";
import {
  CELL_BYTES,
  PAYLOAD_OFFSET,
  TRAIN_BYTES,
  writeSize,
} from "../lib/circuit/cell.ts";
import {
  ClientHandshake,
  type HopKeys,
  respondToHandshake,
} from "../lib/circuit/handshake.ts";
import { carryAcross } from "../lib/circuit/join.ts";
import { OnionClient } from "../lib/circuit/onion_client.ts";
import { RelayLayer } from "../lib/circuit/relay_layer.ts";
import { nativeSuite } from "../lib/crypto/native.ts";

const crypto = nativeSuite();
/** Cells in one call, as a busy relay reads them. */
const CHUNK_BYTES = 64 * 1024;

function hopKeys(random: Random): HopKeys {
  return {
    forwardKey: random.bytes(32),
    backwardKey: random.bytes(32),
    fillerKey: random.bytes(32),
    binding: random.bytes(32),
  };
}

const random = seededRandom(1);
const keys = hopKeys(random);
const group = "cells";
const UNITS = [["cells", CELL_BYTES], ["trains", TRAIN_BYTES]] as const;

for (const [what, unitBytes] of UNITS) {
  /** The cells or trains of a chunk. */
  const units = (chunk: Uint8Array) =>
    Array.from(
      { length: CHUNK_BYTES / unitBytes },
      (_, i) => chunk.subarray(i * unitBytes, (i + 1) * unitBytes),
    );

  Deno.bench(`relay: wrap 64 KiB backward, in ${what}`, { group }, (b) => {
    const relay = new RelayLayer(crypto, keys);
    const chunk = random.bytes(CHUNK_BYTES);
    for (const unit of units(chunk)) writeSize(unit);
    b.start();
    const passed = relay.wrapBackward(chunk);
    b.end();
    if (!passed) throw new Error("Cannot wrap");
  });

  Deno.bench(`relay: peel 64 KiB forward, in ${what}`, { group }, (b) => {
    const relay = new RelayLayer(crypto, keys);
    // One layer alone: what a client of one hop would send.
    const client = new OnionClient(crypto, random);
    client.addHop(keys);
    const chunk = new Uint8Array(CHUNK_BYTES);
    for (const unit of units(chunk)) {
      client.seal(unit);
    }
    b.start();
    const passed = relay.peelForward(chunk);
    b.end();
    if (!passed) throw new Error("Cannot peel");
  });

  Deno.bench(
    `relay: carry 64 KiB across a join, in ${what}`,
    { group },
    (b) => {
      const from = new RelayLayer(crypto, keys);
      const to = new RelayLayer(crypto, keys);
      const client = new OnionClient(crypto, random);
      client.addHop(keys);
      const chunk = new Uint8Array(CHUNK_BYTES);
      for (const unit of units(chunk)) {
        unit[PAYLOAD_OFFSET] = 2;
        client.seal(unit);
      }
      b.start();
      const carried = carryAcross(from, to, chunk);
      b.end();
      if (!carried) throw new Error("Cannot carry");
    },
  );

  Deno.bench(`client: seal 64 KiB for 3 hops, in ${what}`, { group }, (b) => {
    const client = new OnionClient(crypto, random);
    for (let i = 0; i < 3; i++) client.addHop(hopKeys(random));
    const chunk = new Uint8Array(CHUNK_BYTES);
    b.start();
    for (const unit of units(chunk)) {
      client.seal(unit);
    }
    b.end();
  });

  Deno.bench(`client: open 64 KiB from 3 hops, in ${what}`, { group }, (b) => {
    const hops = [hopKeys(random), hopKeys(random), hopKeys(random)];
    const client = new OnionClient(crypto, random);
    for (const hop of hops) client.addHop(hop);
    const [first, second, third] = hops.map((hop) =>
      new RelayLayer(crypto, hop)
    );
    const chunk = new Uint8Array(CHUNK_BYTES);
    for (const unit of units(chunk)) {
      third?.sealBackward(unit);
    }
    second?.wrapBackward(chunk);
    first?.wrapBackward(chunk);
    b.start();
    for (const unit of units(chunk)) {
      const failed = client.open(unit);
      if (failed !== undefined) throw new Error("Cannot open");
    }
    b.end();
  });
}

// A keystroke is one cell each way, whatever it holds.
Deno.bench(`client: seal one cell for 3 hops`, { group }, (b) => {
  const client = new OnionClient(crypto, random);
  for (let i = 0; i < 3; i++) client.addHop(hopKeys(random));
  const cell = new Uint8Array(CELL_BYTES);
  b.start();
  client.seal(cell);
  b.end();
});

const onionSecret = seededRandom(2).bytes(32);
const relay = {
  nodeId: seededRandom(3).bytes(32),
  onionKey: crypto.x25519Public(onionSecret),
  onionKeys: [{
    secret: onionSecret,
    publicKey: crypto.x25519Public(onionSecret),
  }],
};

Deno.bench("client: start a handshake", { group: "handshake" }, async () => {
  await ClientHandshake.start(crypto, relay, seededRandom(4));
});

const request = (await ClientHandshake.start(crypto, relay, seededRandom(5)))
  .request;

Deno.bench(
  "relay: respond to a handshake",
  { group: "handshake" },
  async () => {
    const random = seededRandom(6);
    const answer = await respondToHandshake(crypto, relay, request, random);
    if (!answer.ok) throw new Error("Cannot respond");
  },
);

Deno.bench("client: finish a handshake", { group: "handshake" }, async (b) => {
  const client = await ClientHandshake.start(crypto, relay, seededRandom(7));
  const random = seededRandom(8);
  const answer = await respondToHandshake(
    crypto,
    relay,
    client.request,
    random,
  );
  if (!answer.ok) throw new Error("Cannot respond");
  b.start();
  const result = await client.finish(answer.reply);
  b.end();
  if (!result.ok) throw new Error("Cannot finish");
});
