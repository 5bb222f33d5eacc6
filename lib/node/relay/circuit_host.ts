/**
 * What a circuit of others needs of the node that it leads through, and how it
 * ends there.
 *
 * @module
 */
import type { NodeId } from "../../auth/identity.ts";
import type { NetworkParameters } from "../../auth/network.ts";
import type { Bytes } from "../../base/bytes.ts";
import type { Random } from "../../base/random.ts";
import type {
  DhtRequest,
  ServiceRequest,
} from "../../circuit/control_messages.ts";
import type { CryptoSuite } from "../../crypto/suite.ts";
import type { CellWriterHost } from "../circuit/cell_writer.ts";
import type { CircuitLinks } from "../circuit/circuit_links.ts";
import type { RelayedCircuit } from "./relayed_circuit.ts";

/** Why a relay ended a circuit; for our own eyes. */
export type RelayedEnd =
  /** A side of it ended: the client is done, or a relay or a link is gone. */
  | "hung_up"
  /** The client said so. */
  | "closed"
  /** No whole first cell in time. */
  | "silent"
  /** The first cell was none, or not for us. */
  | "handshake"
  /** A cell was not the client's next. */
  | "bad_cell"
  /** The client said what it must not, or not now. */
  | "protocol"
  /** More cells waited than an honest circuit has under way. */
  | "overflow"
  /** Cells waited, longest of all, when the quota was used up. */
  | "quota"
  /** No room for what the client asked for. */
  | "overloaded"
  /** Nobody came, or somebody else took its place: what it waited for is over. */
  | "expired"
  /** The circuit that it was joined to has ended. */
  | "partner"
  /** The node stops. */
  | "stopping"
  /** Our own failure. */
  | "failed";

/** The onion keys that circuits may be created with. */
export interface OnionSecrets {
  /** The secret of one of our keys; `undefined` when it is none of ours. */
  find(publicKey: Uint8Array): Bytes | undefined;
}

/** What a circuit needs of its node. */
export interface RelayedCircuitHost extends CellWriterHost<RelayedCircuit> {
  readonly crypto: CryptoSuite;
  readonly random: Random;
  readonly network: NetworkParameters;
  readonly ownId: NodeId;
  readonly onionKeys: OnionSecrets;
  readonly links: CircuitLinks;
  readonly dataHere: "refuse" | "deliver";
  /** Cells carried, each way, ever. */
  readonly traffic: { forwardCells: number; backwardCells: number };
  /** A place for a handshake. @returns Whether there was one; give it back. */
  takeHandshake(): boolean;
  giveHandshake(): void;
  /** Own a promise, and what it fails with. */
  run(work: Promise<void>): void;
  /** Something of ours failed. */
  onError(error: unknown): void;
  onCreated(circuit: RelayedCircuit): void;
  /** It does not end here any more, or not for long: whoever holds it, forget it. */
  onUnavailable(circuit: RelayedCircuit): void;
  onRequest(
    circuit: RelayedCircuit,
    request: DhtRequest | ServiceRequest,
  ): void;
  /** Only where data is to be delivered. */
  onData(circuit: RelayedCircuit, body: Uint8Array): void;
  /** Cells wait: see whether too many do. */
  checkQuota(): void;
  onDestroyed(circuit: RelayedCircuit, end: RelayedEnd): void;
  /** Nothing of it is left. */
  onGone(circuit: RelayedCircuit): void;
}
