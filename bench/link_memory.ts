/**
 * What an idle link costs in memory, on the answering and on the dialling side,
 * each in a process of its own.
 *
 *     deno run --allow-all --v8-flags=--expose-gc bench/link_memory.ts [links]
 *
 * Prints resident memory without and with the links. Figures are kept in
 * docs/performance.md.
 *
 * @module
 */
import { Identity } from "../lib/auth/identity.ts";
import { networkParameters } from "../lib/auth/network.ts";
import { createNodeRecord } from "../lib/auth/node_record.ts";
import { RecordVerifier } from "../lib/auth/record_verifier.ts";
import { sleep } from "../lib/base/clock.ts";
import { nativeSuite } from "../lib/crypto/native.ts";
import { LinkTable } from "../lib/node/link/link_table.ts";
import { SystemClock } from "../lib/machine/system_clock.ts";
import { systemRandom as random } from "../lib/machine/system_random.ts";
import { openQuicEndpoint } from "../lib/transport/quic_endpoint.ts";
import type { Endpoint } from "../lib/transport/transport.ts";

const DEFAULT_LINKS = 500;
/** Time for buffers of the handshakes to be given back, ms. */
const SETTLE_MS = 3000;

const crypto = nativeSuite();
const clock = new SystemClock();
const network = networkParameters("local");

async function openEndpoint(identity: Identity): Promise<Endpoint> {
  return await openQuicEndpoint({
    address: { host: "127.0.0.1", port: 0 },
    alpn: network.alpn,
    identity,
    crypto,
  });
}

/** A table over `endpoint`; several may share one to dial as several nodes. */
function tableOf(endpoint: Endpoint, identity: Identity): LinkTable {
  const unixMs = clock.unixMs();
  const { encoded } = createNodeRecord(crypto, identity, network, {
    onionKey: random.bytes(32),
    addresses: [endpoint.localAddress],
    flags: ["relay"],
    bandwidth: 1_000_000,
    sequence: unixMs,
    expiry: unixMs + 3_600_000,
    workNonce: random.bytes(16),
  });
  return new LinkTable({
    endpoint,
    crypto,
    network,
    clock,
    random,
    verifier: new RecordVerifier(crypto, network),
    identity,
    record: () => encoded,
    handlers: {
      onRequest: (_link, _method, body) => Promise.resolve(body),
      onCircuit: (_link, stream) => stream.cancel(),
    },
  });
}

/** Resident memory now, KiB. */
async function residentKib(): Promise<number> {
  for (let round = 0; round < 3; round++) {
    (globalThis as { gc?: () => void }).gc?.();
    await sleep(clock, SETTLE_MS / 3);
  }
  return Math.round(Deno.memoryUsage().rss / 1024);
}

function report(side: string, links: number, before: number, after: number) {
  const each = ((after - before) / links).toFixed(1);
  return `${side}: ${before} KiB, with ${links} links ${after} KiB, ${each} KiB per link\n`;
}

async function print(text: string): Promise<void> {
  await Deno.stdout.write(new TextEncoder().encode(text));
}

/** Dial the relay at this address as many nodes, and wait to be ended. */
async function dialMany(links: number, key: string, port: number) {
  const peer = {
    publicKey: Uint8Array.fromHex(key),
    addresses: [{ host: "127.0.0.1", port }],
  };
  const endpoint = await openEndpoint(Identity.generate(crypto, random));
  const tables = Array.from(
    { length: links },
    () => tableOf(endpoint, Identity.generate(crypto, random)),
  );
  // One of them warms up what all of them need.
  await tables[0]?.getOrDial(peer);
  const before = await residentKib();
  for (const table of tables) await table.getOrDial(peer);
  await print(report("dialling", links, before, await residentKib()));
  await Deno.stdin.read(new Uint8Array(1));
  await endpoint.close();
}

/** Be the relay that is dialled, by a process of its own. */
async function answerMany(links: number): Promise<void> {
  const identity = Identity.generate(crypto, random);
  const endpoint = await openEndpoint(identity);
  await using table = tableOf(endpoint, identity);
  table.start();
  const before = await residentKib();
  const child = new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--allow-all",
      "--unstable-net",
      "--v8-flags=--expose-gc",
      import.meta.url,
      `${links}`,
      identity.publicKey.toHex(),
      `${endpoint.localAddress.port}`,
    ],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  if (table.links.length !== links) throw new Error("Some links are missing");
  await print(new TextDecoder().decode(value));
  await print(report("answering", links, before, await residentKib()));
  await child.stdin.close();
  await reader.cancel();
  await child.status;
}

const [links = `${DEFAULT_LINKS}`, key, port] = Deno.args;
if (key === undefined) await answerMany(Number(links));
else await dialMany(Number(links), key, Number(port));
