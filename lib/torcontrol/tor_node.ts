/**
 * What the control port needs of a node. Its implementer knows circuits and services;
 * the port knows Tor's words for them.
 *
 * @module
 */
import type { SocketAddress } from "../auth/socket_address.ts";
import type { PublicKey } from "../auth/identity.ts";
import type { Bytes } from "../base/bytes.ts";
import type { OnionRequest } from "./onion_request.ts";
import type { TorSignal } from "./tor_signal.ts";

/** A circuit of the node's own. */
export interface TorCircuit {
  readonly id: number;
  readonly isBuilt: boolean;
  /** What each of its relays is to it, in letters and digits, the nearest first. */
  readonly hops: readonly string[];
  /** Tor's word for what it is for, such as `HS_CLIENT_REND`. */
  readonly purpose: string;
  /** When its build began, unix ms, coarse. */
  readonly createdUnixMs: number;
}

/** A stream of a proxy. */
export interface TorStream {
  readonly id: number;
  readonly status: "NEW" | "SUCCEEDED" | "FAILED" | "CLOSED";
  /** Host and port, as the program asked for them. */
  readonly target: string;
}

/** A service of the node's own. */
export interface OnionStatus {
  readonly id: string;
  readonly owner: "mine" | "detached" | "other";
}

/** A service that was added. */
export interface AddedOnion {
  readonly id: string;
  /** Its expanded key, 64 bytes, where it is a new one. */
  readonly secret: Bytes | undefined;
  /** The reply is out: the service's events may follow. */
  readonly onAnswered: () => void;
}

/** A line of the log. */
export interface TorLogLine {
  readonly type: "NOTICE" | "WARN" | "ERR";
  readonly text: string;
}

/** A key by which we are let in to a service. */
export interface OnionCredential {
  readonly service: PublicKey;
  /** X25519 secret, 32 bytes. */
  readonly secret: Bytes;
}

/** One program, as the node knows it: what it added goes with it. */
export interface TorProgram extends AsyncDisposable {
  /**
   * Add a service.
   *
   * @throws {AnonNetError} `service.*`, `torcontrol.*`.
   */
  addOnion(request: OnionRequest): Promise<AddedOnion>;
  /** Remove a service of this program, or a detached one. @returns Whether it could. */
  removeOnion(id: string): Promise<boolean>;
  /** All services that this program may see. */
  readonly onions: readonly OnionStatus[];
}

/** What is asked of the node, and wished from it. */
export interface TorNode {
  /** Whether circuits can be built: 0 to 100, 100 when all works. */
  readonly progress: {
    readonly percent: number;
    readonly tag: string;
    readonly summary: string;
  };
  /** Bytes since the start. */
  readonly traffic: { readonly read: number; readonly written: number };
  readonly circuits: readonly TorCircuit[];
  readonly streams: readonly TorStream[];
  /** Where programs connect. */
  readonly listeners: {
    readonly socks: SocketAddress | undefined;
    readonly http: SocketAddress | undefined;
  };
  readonly uptimeSeconds: number;
  readonly processId: number;
  readonly stateDirectory: string;
  /** Whether names are resolved to addresses that stand for them. */
  readonly isAutomapping: boolean;
  /** The key of the service of an id; `undefined` for what is none. */
  keyOf(id: string): PublicKey | undefined;
  /** The id of the service of a key. */
  idOf(service: PublicKey): string;
  /** A program was let in. */
  admit(): TorProgram;
  /** Lines of the log since the last question, the newest of them. */
  newLogLines(): readonly TorLogLine[];
  /** @returns Why not, if it cannot be done. */
  signal(signal: TorSignal): string | undefined;
  /** The program that owns the node has gone. */
  onOwnerGone(): void;
  readonly credentials: readonly OnionCredential[];
  /** @returns Whether there was none before. @throws {ConfigError} when there are too many. */
  addCredential(credential: OnionCredential): boolean;
  /** @returns Whether there was one. */
  removeCredential(service: PublicKey): boolean;
}
