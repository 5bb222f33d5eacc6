/**
 * What a circuit of others needs of the relay that it leads through.
 *
 * @module
 */
import type { NodeId } from "../../auth/identity.ts";
import type { NetworkParameters } from "../../auth/network.ts";
import type { Bytes } from "../../base/bytes.ts";
import type { Random } from "../../base/random.ts";
import type { Places } from "../../base/places.ts";
import type { TaskSet } from "../../base/task_set.ts";
import type { CircuitExits } from "../../circuit/circuit_exits.ts";
import type {
  DhtRequest,
  ServiceRequest,
} from "../../circuit/control_messages.ts";
import type { CryptoSuite } from "../../crypto/suite.ts";
import type { CellWriterHost } from "../circuit/cell_writer.ts";
import type { CircuitLinks } from "../circuit/circuit_links.ts";
import type { NextRelays } from "./next_relays.ts";
import type { RelayTraffic } from "./relay_traffic.ts";

/** The onion keys that circuits may be created with. */
export interface OnionSecrets {
  /** The secret of one of our keys; `undefined` when it is none of ours. */
  find(publicKey: Uint8Array): Bytes | undefined;
}

/** Hears of one circuit what concerns other circuits. */
export interface CircuitListener<Circuit> {
  /** The client asks for what the relay's machine does not answer itself. */
  onRequest(circuit: Circuit, request: DhtRequest | ServiceRequest): void;
  /** It does not end here any more, or not for long: tables forget it. */
  onUnavailable(circuit: Circuit): void;
  /** Nothing of it is left. */
  onGone(circuit: Circuit): void;
}

/** What all circuits of a relay share. */
export interface CircuitHost<Circuit extends { readonly usedMs: number }>
  extends CellWriterHost<Circuit> {
  readonly crypto: CryptoSuite;
  readonly random: Random;
  readonly network: NetworkParameters;
  readonly ownId: NodeId;
  readonly onionKeys: OnionSecrets;
  /** Where the next relays are. */
  readonly links: CircuitLinks;
  /** Where circuits go on to, and which of them gives way there. */
  readonly exits: CircuitExits<Circuit>;
  /** Checks the records of relays that circuits are extended to. */
  readonly nextRelays: NextRelays;
  readonly traffic: RelayTraffic;
  /** Places for create handshakes under way. */
  readonly handshakes: Places;
  /** Owns handshakes and attempts to extend. */
  readonly tasks: TaskSet;
  readonly listener: CircuitListener<Circuit>;
  /** Something of ours failed; for the log. */
  readonly onError: (error: unknown) => void;
}
