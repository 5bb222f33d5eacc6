/**
 * Events that programs ask for with `SETEVENTS`, in Tor's words.
 *
 *     650 BW 1024 512
 *     650 CIRC 12 BUILT $0…1~guard,$0…2~layer2,$0…3~last PURPOSE=HS_CLIENT_REND …
 *     650 HS_DESC UPLOADED <id> UNKNOWN UNKNOWN
 *
 * Which relays a circuit goes over, and which keep a descriptor, is told to no program:
 * where a relay would be named stands its place in the path, or UNKNOWN.
 *
 * @see {@link https://spec.torproject.org/control-spec/replies.html#asynchronous-events | control-spec, 4.1}
 * @module
 */
import { quote } from "./quoted_text.ts";
import type { TorCircuit, TorNode, TorProgram, TorStream } from "./tor_node.ts";

/** An event: what programs ask for, and what they are told. */
export interface TorEvent {
  readonly type: string;
  readonly text: string;
  /** The only program that is told. Default: all are. */
  readonly only?: TorProgram | undefined;
}

/** Types that may be asked for. Of those that stand below, none come. */
export const EVENT_TYPES: readonly string[] = [
  "CIRC",
  "STREAM",
  "BW",
  "NOTICE",
  "WARN",
  "ERR",
  "HS_DESC",
  "STATUS_CLIENT",
  "STATUS_GENERAL",
  "SIGNAL",
  "CONF_CHANGED",
  "NETWORK_LIVENESS",

  "DEBUG",
  "INFO",
  "ORCONN",
  "ADDRMAP",
  "NEWDESC",
  "NS",
  "NEWCONSENSUS",
  "STATUS_SERVER",
  "GUARD",
  "DESCCHANGED",
  "STREAM_BW",
  "CIRC_BW",
  "CONN_BW",
  "CELL_STATS",
  "CIRC_MINOR",
  "CLIENTS_SEEN",
  "BUILDTIMEOUT_SET",
  "TRANSPORT_LAUNCHED",
  "HS_DESC_CONTENT",
];

/** A circuit, in events and in `circuit-status`. */
export function circuitText(
  { id, isBuilt, hops, purpose, createdUnixMs }: TorCircuit,
  end?: "CLOSED",
): string {
  const path = isBuilt && hops.length > 0 ? ` ${pathText(hops)}` : "";
  const status = (end ?? (isBuilt ? "BUILT" : "LAUNCHED")) + path;
  const created = new Date(createdUnixMs).toISOString().replace("Z", "000");
  const reason = end === undefined ? "" : " REASON=FINISHED";
  return `${id} ${status} PURPOSE=${purpose} TIME_CREATED=${created}${reason}`;
}

/** Places in a path where relays would be: their numbers, for programs that want names. */
function pathText(hops: readonly string[]): string {
  return hops.map((role, index) =>
    `$${(index + 1).toString(16).padStart(40, "0").toUpperCase()}~${role}`
  ).join(",");
}

/** A stream, in events and in `stream-status`; which circuit it is on is not told. */
export function streamText({ id, status, target }: TorStream): string {
  return `${id} ${status} 0 ${target}`;
}

/** `status/bootstrap-phase`, and the event. */
export function progressText(
  { percent, tag, summary }: TorNode["progress"],
): string {
  return `NOTICE BOOTSTRAP PROGRESS=${percent} TAG=${tag} SUMMARY=${
    quote(summary)
  }`;
}

/** An event of a service's descriptor. */
export function descriptorEvent(
  action: "UPLOAD" | "UPLOADED" | "FAILED",
  id: string,
  only?: TorProgram,
): TorEvent {
  const reason = action === "FAILED" ? " REASON=UPLOAD_REJECTED" : "";
  return {
    type: "HS_DESC",
    text: `HS_DESC ${action} ${id} UNKNOWN UNKNOWN${reason}`,
    only,
  };
}

/** Sees what has changed since it looked last. */
export class EventWatch {
  readonly #node: TorNode;
  #circuits: ReadonlyMap<number, TorCircuit>;
  #traffic: TorNode["traffic"];
  #progress: string;
  #canBuild: boolean;
  readonly #rates: string[] = [];

  /** @param node What there is already makes no event. */
  constructor(node: TorNode) {
    this.#node = node;
    this.#circuits = byId(node.circuits);
    this.#traffic = node.traffic;
    this.#progress = progressText(node.progress);
    this.#canBuild = node.progress.percent === 100;
    node.newLogLines();
  }

  /** The traffic of late, a second each, for `bw-event-cache`. */
  get rates(): readonly string[] {
    return this.#rates;
  }

  /** What to tell, a second after the last look. */
  look(): TorEvent[] {
    return [
      ...this.#bandwidthEvents(),
      ...this.#circuitEvents(),
      ...this.#statusEvents(),
      ...this.#node.newLogLines().map(({ type, text }) => ({
        type,
        text: `${type} ${text}`,
      })),
    ];
  }

  #bandwidthEvents(): TorEvent[] {
    const { read, written } = this.#node.traffic;
    const before = this.#traffic;
    this.#traffic = { read, written };
    const rate = [read - before.read, written - before.written];
    this.#rates.push(rate.join(","));
    if (this.#rates.length > MAX_RATES) this.#rates.shift();
    return [{ type: "BW", text: `BW ${rate.join(" ")}` }];
  }

  #circuitEvents(): TorEvent[] {
    const before = this.#circuits;
    const now = byId(this.#node.circuits);
    this.#circuits = now;
    const event = (text: string) => ({ type: "CIRC", text: `CIRC ${text}` });
    const events: TorEvent[] = [];
    for (const circuit of now.values()) {
      const old = before.get(circuit.id);
      if (old === undefined && circuit.isBuilt) {
        events.push(event(circuitText({ ...circuit, isBuilt: false })));
      }
      if (old?.isBuilt !== circuit.isBuilt) {
        events.push(event(circuitText(circuit)));
      }
    }
    for (const circuit of before.values()) {
      if (!now.has(circuit.id)) {
        events.push(event(circuitText(circuit, "CLOSED")));
      }
    }
    return events;
  }

  #statusEvents(): TorEvent[] {
    const { progress } = this.#node;
    const events: TorEvent[] = [];
    const text = progressText(progress);
    if (text !== this.#progress && progress.percent > 0) {
      events.push({ type: "STATUS_CLIENT", text: `STATUS_CLIENT ${text}` });
    }
    this.#progress = text;
    const canBuild = progress.percent === 100;
    if (canBuild !== this.#canBuild) {
      events.push({
        type: "STATUS_CLIENT",
        text: canBuild
          ? "STATUS_CLIENT NOTICE CIRCUIT_ESTABLISHED"
          : "STATUS_CLIENT NOTICE CIRCUIT_NOT_ESTABLISHED",
      }, {
        type: "NETWORK_LIVENESS",
        text: `NETWORK_LIVENESS ${canBuild ? "UP" : "DOWN"}`,
      });
    }
    this.#canBuild = canBuild;
    return events;
  }
}

/** Seconds of traffic that are remembered, as Tor does. */
const MAX_RATES = 300;

function byId(circuits: readonly TorCircuit[]): Map<number, TorCircuit> {
  return new Map(circuits.map((circuit) => [circuit.id, circuit]));
}
