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

/** Rows of one list: more than a reader looks at, and little to send each time. */
const MAX_ROWS = 100;

/** Answers of the control interface, taken beside each other. */
export interface Answers {
  readonly status: JsonObject;
  readonly circuits: JsonObject;
  readonly services: readonly JsonValue[];
  readonly sessions: readonly JsonValue[];
}

/** What one moment looks like. Plain JSON. */
export interface Snapshot extends JsonObject {
  readonly unixMs: number;
  /** Whether the node does all that it was started for. */
  readonly isReady: boolean;
  /** What it waits for, in words; empty when it is ready. */
  readonly waits: readonly string[];
  /** What its operator should look at. */
  readonly warnings: readonly string[];
  readonly status: JsonObject;
  readonly services: readonly JsonValue[];
  readonly sessions: readonly JsonValue[];
  readonly own: JsonObject | null;
  readonly relayed: JsonObject | null;
  /** How many rows the lists were cut by. */
  readonly left: {
    readonly sessions: number;
    readonly circuits: number;
  };
}

/** The snapshot of some answers. */
export function snapshotOf(answers: Answers, unixMs: number): Snapshot {
  const { status, services, sessions, circuits } = answers;
  const own = objectOf(circuits["own"]);
  const rows = own === null ? [] : listOf(own["circuits"]);
  const waits = waitsOf(status, services);
  return {
    unixMs,
    isReady: waits.length === 0,
    waits,
    warnings: warningsOf(status, own),
    status,
    services: services.slice(0, MAX_ROWS),
    sessions: sessions.slice(0, MAX_ROWS),
    own: own && { ...own, circuits: rows.slice(0, MAX_ROWS) },
    relayed: objectOf(circuits["relayed"]),
    left: {
      sessions: Math.max(0, sessions.length - MAX_ROWS),
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

function warningsOf(status: JsonObject, own: JsonObject | null): string[] {
  const reach = objectOf(status["reach"]);
  const guards = listOf(own?.["guards"]).map(objectOf)
    .filter((guard) => guard?.["isInUse"] === true);
  const failing = guards.filter((guard) => Number(guard?.["failures"]) > 0);
  return [
    ...status["state"] === "fine" ? [] : [sentence(status["state"])],
    ...reach?.["state"] === "not_reached" ? [sentence(reach["words"])] : [],
    ...guards.length > 0 && failing.length === guards.length
      ? ["No guard in use has answered lately."]
      : [],
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
