/**
 * One host of an attacker, in a process of its own: it does to a relay all that
 * {@linkcode RELAY_ATTACKS} has, at once.
 *
 *     raider_process.ts HOST RECORD LINKS [ATTACK, …]
 *
 * It prints a line of JSON when it has begun, and goes on until its standard input
 * ends.
 *
 * @module
 */
import { decodeNodeRecord } from "../../lib/auth/node_record.ts";
import { CIRCUIT_CRYPTO } from "../node/circuit/circuit_world.ts";
import { NETWORK } from "../node/link/link_world.ts";
import { Raider, RELAY_ATTACKS } from "../siege/relay_attacks.ts";
import { QuicSiege } from "../siege/siege_world.ts";

const [host, hex, links, ...names] = Deno.args;
if (host === undefined || hex === undefined) {
  throw new TypeError("Cannot attack: want HOST RECORD LINKS");
}
const record = Uint8Array.fromHex(hex);
const relay = decodeNodeRecord(CIRCUIT_CRYPTO, NETWORK, record, Date.now());
const end = new AbortController();
// What fails is the relay's doing, and no fault of the attack.
addEventListener("unhandledrejection", (event) => event.preventDefault());
const options = { host, links: Number(links), signal: end.signal };
for (const [name, attack] of Object.entries(RELAY_ATTACKS)) {
  if (names.length > 0 && !names.includes(name)) continue;
  attack(new Raider(new QuicSiege(0), relay, options));
}
Deno.stdout.writeSync(new TextEncoder().encode("{}\n"));
for await (const _ of Deno.stdin.readable);
Deno.exit();
