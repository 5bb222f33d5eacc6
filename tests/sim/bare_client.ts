/**
 * A client that builds circuits over relays of its choice, one when it likes, and
 * joins them: no pool, no services, nothing else on the wires.
 *
 *     one ── circuit ──▶ rendezvous point ◀── circuit ── other
 *            cells both ways, as sessions would send them
 *
 * @module
 */
import type { CellPort } from "../../lib/node/circuit/leg_carrier.ts";
import assert from "node:assert/strict";
import { Identity } from "../../lib/auth/identity.ts";
import { networkParameters } from "../../lib/auth/network.ts";
import { RecordVerifier } from "../../lib/auth/record_verifier.ts";
import type { Bytes } from "../../lib/base/bytes.ts";
import { CellBuffers } from "../../lib/node/circuit/cell_buffers.ts";
import { LinkServices } from "../../lib/node/link/link_services.ts";
import { LinkTable } from "../../lib/node/link/link_table.ts";
import { OwnCircuit } from "../../lib/node/circuit/own_circuit.ts";
import { joinCircuits as meetAtLast } from "../support/joined_circuits.ts";
import {
  SESSION_CELL_BYTES,
  SESSION_TRAIN_BYTES,
} from "../../lib/session/leg.ts";
import type { WholeWorld, WorldMachine, WorldRelay } from "./whole_world.ts";

/** What circuits need of their node. */
type OwnCircuitHost = Parameters<typeof OwnCircuit.build>[0];

/** A client with links and nothing else. */
export class BareClient implements AsyncDisposable {
  readonly machine: WorldMachine;
  readonly host: OwnCircuitHost;
  readonly #links: LinkTable;

  private constructor(machine: WorldMachine, links: LinkTable) {
    const { clock, crypto, random } = machine.runtime;
    this.machine = machine;
    this.#links = links;
    this.host = {
      crypto,
      clock,
      random,
      links,
      buffers: new CellBuffers(),
      onError: (error) => {
        throw error;
      },
    };
  }

  /** Connect a client to the network. */
  static async open(world: WholeWorld, name: string): Promise<BareClient> {
    const machine = world.machine(name);
    const { clock, crypto, openEndpoint, random } = machine.runtime;
    const network = networkParameters("local");
    const identity = Identity.generate(crypto, random);
    const endpoint = await openEndpoint({
      address: { host: machine.host, port: 0 },
      alpn: network.alpn,
      identity,
      crypto,
      admit: () => false,
    });
    const links = new LinkTable({
      endpoint,
      crypto,
      network,
      clock,
      random,
      verifier: new RecordVerifier(crypto, network),
      identity,
      identityFor: () => Identity.generate(crypto, random),
      handlers: new LinkServices(machine.log),
    });
    return new BareClient(machine, links);
  }

  /** Build a circuit over these relays. */
  async build(relays: readonly WorldRelay[]): Promise<OwnCircuit> {
    const path = relays.map(({ role }) => role.record.current);
    const result = await OwnCircuit.build(this.host, path);
    assert.ok(result.ok, `not built: ${JSON.stringify(result)}`);
    return result.circuit;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#links.close();
  }
}

/** Sends the bodies that it is given, and keeps what comes. */
export class BarePort implements CellPort {
  readonly received: Bytes[] = [];
  readonly circuit: OwnCircuit;
  readonly #waiting: Bytes[] = [];

  constructor(circuit: OwnCircuit) {
    this.circuit = circuit;
  }

  /** Begin to carry cells. */
  attach(): void {
    this.circuit.attach(this);
  }

  send(...bodies: readonly Bytes[]): void {
    this.#waiting.push(...bodies);
    this.circuit.wake();
  }

  trainWaits(): boolean {
    return this.#waiting[0]?.length === SESSION_TRAIN_BYTES;
  }

  fill(body: Uint8Array): boolean {
    const next = this.#waiting.shift();
    if (next !== undefined) body.set(next);
    return next !== undefined;
  }

  onCell(body: Uint8Array): void {
    this.received.push(new Uint8Array(body));
  }
}

/** Two circuits that end at one relay, joined. */
export interface BarePipe {
  readonly one: BarePort;
  readonly other: BarePort;
}

/** Join a circuit of each. The last relay of both paths is the same. */
export async function joinCircuits(
  world: WholeWorld,
  one: OwnCircuit,
  other: OwnCircuit,
): Promise<BarePipe> {
  const cookie = world.crypto.sha256(one.binding).slice(0, 20);
  await meetAtLast(one, other, cookie);
  const pipe = { one: new BarePort(one), other: new BarePort(other) };
  pipe.other.attach();
  pipe.one.attach();
  return pipe;
}

/** A body as a session would send: it looks like nothing. */
export function sealedBody(
  world: WholeWorld,
  number: number,
  size: "cell" | "train" = "cell",
): Bytes {
  const body = new Uint8Array(
    size === "cell" ? SESSION_CELL_BYTES : SESSION_TRAIN_BYTES,
  );
  const key = world.crypto.sha256(Uint8Array.of(number, number >> 8));
  world.crypto.keystream(key).xor(body);
  return body;
}
