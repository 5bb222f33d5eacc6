/**
 * What the pages of the dashboard show: the very answers of the control interface,
 * with a verdict in words, and lists cut to what a page bears.
 *
 * @see protocol §9.3 "Control interface"
 * @module
 */
import {
  isJsonObject,
  type JsonObject,
  type JsonValue,
} from "../control/json.ts";
import { bad, type Finding } from "../doctor/finding.ts";
import { statusFindings } from "../doctor/status_findings.ts";

/** Rows of one list: more than a reader looks at, and little to send each time. */
const MAX_ROWS = 100;

/** Answers of the control interface, taken beside each other. */
export interface Answers {
  readonly status: JsonObject;
  readonly circuits: JsonObject;
  readonly services: readonly JsonValue[];
  readonly sessions: readonly JsonValue[];
  readonly visits: readonly JsonValue[];
  /** What is wrong with the machine. */
  readonly machine: readonly Finding[];
}

/** What one moment looks like. Plain JSON. */
export interface Snapshot extends JsonObject {
  readonly unixMs: number;
  /** Whether the node does all that it was started for. */
  readonly isReady: boolean;
  /** What it waits for, in words; empty when it is ready. */
  readonly waits: readonly string[];
  /** What its operator should mend: what `anonnet doctor` finds in the node itself. */
  readonly warnings: readonly {
    readonly what: string;
    readonly grade: string;
    readonly words: string;
    readonly next: string;
  }[];
  readonly status: JsonObject;
  readonly services: readonly JsonValue[];
  readonly sessions: readonly JsonValue[];
  readonly visits: readonly JsonValue[];
  readonly own: JsonObject | null;
  readonly relayed: JsonObject | null;
  /** How many rows the lists were cut by. */
  readonly left: {
    readonly sessions: number;
    readonly visits: number;
    readonly circuits: number;
  };
}

/** The snapshot of some answers. */
export function snapshotOf(answers: Answers, unixMs: number): Snapshot {
  const { status, services, sessions, visits, circuits } = answers;
  const own = objectOf(circuits["own"]);
  const rows = own === null ? [] : listOf(own["circuits"]);
  const waits = waitsOf(status, services);
  return {
    unixMs,
    isReady: waits.length === 0,
    waits,
    warnings: warningsOf(answers, own),
    status,
    services: services.slice(0, MAX_ROWS),
    sessions: sessions.slice(0, MAX_ROWS),
    visits: visits.slice(0, MAX_ROWS),
    own: own && { ...own, circuits: rows.slice(0, MAX_ROWS) },
    relayed: objectOf(circuits["relayed"]),
    left: {
      sessions: Math.max(0, sessions.length - MAX_ROWS),
      visits: Math.max(0, visits.length - MAX_ROWS),
      circuits: Math.max(0, rows.length - MAX_ROWS),
    },
  };
}

function waitsOf(
  status: JsonObject,
  services: readonly JsonValue[],
): string[] {
  const circuits = objectOf(status["circuits"]);
  const isStuck = circuits !== null && circuits["state"] !== "fine";
  const hidden = services.map(objectOf)
    .filter((service) => service !== null && service["reachable"] !== true);
  return [
    ...listOf(status["roles"]).length > 0 ? [] : ["The node is starting."],
    ...isStuck ? [sentence(circuits["words"])] : [],
    ...hidden.map((service) =>
      `The service “${textOf(service?.["name"])}” is not reachable yet.`
    ),
  ];
}

function warningsOf(
  { status, machine }: Answers,
  own: JsonObject | null,
): Snapshot["warnings"] {
  const findings = [
    ...machine,
    ...statusFindings(status),
    ...guardFindings(own),
  ];
  return findings.flatMap(({ what, grade, words, next = "" }) =>
    grade === "ok" ? [] : [{ what, grade, words, next }]
  );
}

/** Guards that fail although circuits can still be built. */
function guardFindings(own: JsonObject | null): Finding[] {
  const guards = listOf(own?.["guards"]).map(objectOf)
    .filter((guard) => guard?.["isInUse"] === true);
  const failing = guards.filter((guard) => Number(guard?.["failures"]) > 0);
  return guards.length === 0 || failing.length < guards.length ? [] : [
    bad(
      "guards",
      "warn",
      "none in use has answered lately",
      "see that this machine is online, and that no firewall stops UDP",
    ),
  ];
}

function sentence(value: JsonValue | undefined): string {
  const text = textOf(value);
  const capital = text.slice(0, 1).toUpperCase() + text.slice(1);
  return capital.endsWith(".") ? capital : `${capital}.`;
}

function textOf(value: JsonValue | undefined): string {
  return typeof value === "string" ? value : "";
}

function objectOf(value: JsonValue | undefined): JsonObject | null {
  return isJsonObject(value) ? value : null;
}

function listOf(value: JsonValue | undefined): readonly JsonValue[] {
  return Array.isArray(value) ? value : [];
}
