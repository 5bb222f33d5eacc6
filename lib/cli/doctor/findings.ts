/**
 * What is wrong with a node, by what was seen of it: one line for each thing that can
 * be, with what to do next. Facts come in, findings go out.
 *
 * @module
 */
import type { JsonObject, JsonValue } from "../../control/json.ts";
import { isJsonObject } from "../../control/json.ts";

/** How a thing is. */
export type Grade = "ok" | "warn" | "fail";

/** One line. */
export interface Finding {
  readonly what: string;
  readonly grade: Grade;
  /** What was seen. */
  readonly words: string;
  /** What to do next; none where all is well. */
  readonly next?: string;
}

/** What a state directory looks like. */
export type StateFact =
  | { readonly type: "missing" }
  | { readonly type: "fine" }
  | { readonly type: "not_directory" }
  /** Others may enter it. */
  | { readonly type: "open"; readonly mode: number }
  /** Nothing can be written to it, and why. */
  | { readonly type: "unwritable"; readonly code: string };

/** Whether the node of a state directory answers. */
export type NodeFact =
  | { readonly type: "running"; readonly status: JsonObject }
  | { readonly type: "stopped" }
  /** It left a note, and does not answer. */
  | { readonly type: "silent"; readonly words: string };

/** A port that a node would take. */
export interface PortFact {
  /** Such as `--listen 0.0.0.0:4001`. */
  readonly name: string;
  readonly state: "free" | "taken" | "refused";
}

/** A service of the node, and what came of visiting it from outside. */
export interface ServiceFact {
  readonly name: string;
  /** Why the node could not say. */
  readonly trouble?: string | undefined;
  readonly ports: readonly PortVisitFact[];
}

/** What a visitor finds at one port of a service. */
export interface PortVisitFact {
  readonly port: number;
  /** Why not, where there is nothing: a code, and words. */
  readonly refusal?: { readonly code: string; readonly words: string };
}

/** What was seen. */
export interface DoctorFacts {
  readonly program: string;
  readonly deno: { readonly version: string; readonly isNewEnough: boolean };
  /** Permissions that the process lacks. */
  readonly missingPermissions: readonly string[];
  readonly state: StateFact;
  readonly node: NodeFact;
  /** Of a node that does not run. */
  readonly ports: readonly PortFact[];
  /** Whether the machine has an address of each kind; unknown where it may not be asked. */
  readonly families?: { readonly ipv4: boolean; readonly ipv6: boolean };
  readonly services: readonly ServiceFact[];
}

/** All findings, in the order in which they are to be mended. */
export function diagnose(facts: DoctorFacts): Finding[] {
  const { node } = facts;
  return [
    versionOf(facts),
    permissionsOf(facts),
    stateOf(facts.state),
    ...facts.ports.map(portOf),
    addressesOf(facts),
    nodeOf(node),
    ...node.type === "running" ? statusFindings(node.status) : [],
    ...facts.services.flatMap(serviceFindings),
  ];
}

/** The worst of all. */
export function worst(findings: readonly Finding[]): Grade {
  const grades = new Set(findings.map(({ grade }) => grade));
  return grades.has("fail") ? "fail" : grades.has("warn") ? "warn" : "ok";
}

/** `fail  clock             3 h behind; set it`. */
export function formatFinding({ grade, what, words, next }: Finding): string {
  const advice = next === undefined ? "" : `; ${next}`;
  return `${grade.padEnd(5)} ${what.padEnd(16)} ${words}${advice}`;
}

function ok(what: string, words: string): Finding {
  return { what, grade: "ok", words };
}

function bad(
  what: string,
  grade: "warn" | "fail",
  words: string,
  next: string,
): Finding {
  return { what, grade, words, next };
}

function versionOf({ program, deno }: DoctorFacts): Finding {
  const words = `anonnet ${program}, Deno ${deno.version}`;
  return deno.isNewEnough
    ? ok("version", words)
    : bad("version", "fail", words, "install the version that README names");
}

function permissionsOf({ missingPermissions: missing }: DoctorFacts): Finding {
  return missing.length === 0
    ? ok("permissions", "all that a node needs")
    : bad(
      "permissions",
      "fail",
      `missing: ${missing.join(", ")}`,
      'start it with -P, or with what "Sandbox" in README.md lists',
    );
}

function stateOf(state: StateFact): Finding {
  const what = "state directory";
  switch (state.type) {
    case "fine":
      return ok(what, "can be read and written");
    case "missing":
      return bad(
        what,
        "warn",
        "is not there",
        "name the right one with --state; a first start makes it",
      );
    case "not_directory":
      return bad(what, "fail", "is no directory", "name another with --state");
    case "open":
      return bad(
        what,
        "fail",
        `others can enter it (mode ${state.mode.toString(8)})`,
        "run chmod 700 on it",
      );
    case "unwritable":
      return state.code === "ENOSPC" || state.code === "EDQUOT"
        ? bad(what, "fail", "the disk is full", "make room on the disk")
        : bad(
          what,
          "fail",
          `cannot be written (${state.code})`,
          "run the node as the user who owns it, or chown it",
        );
  }
}

function portOf({ name, state }: PortFact): Finding {
  switch (state) {
    case "free":
      return ok("port", `${name} is free`);
    case "taken":
      return bad(
        "port",
        "fail",
        `${name} is taken by another program`,
        "stop that program, or give the node another port",
      );
    case "refused":
      return bad(
        "port",
        "fail",
        `${name} may not be used`,
        "name an address of this machine, and a port from 1024",
      );
  }
}

function addressesOf({ families }: DoctorFacts): Finding {
  const what = "addresses";
  if (families === undefined) return ok(what, "not asked for");
  const { ipv4, ipv6 } = families;
  if (ipv4 && ipv6) return ok(what, "IPv4 and IPv6");
  if (ipv4) return ok(what, "IPv4 alone");
  if (ipv6) {
    return bad(
      what,
      "warn",
      "IPv6 alone",
      "relays that have IPv4 addresses alone cannot be reached from here",
    );
  }
  return bad(
    what,
    "fail",
    "none but those of this machine itself",
    "connect the machine to a network",
  );
}

function nodeOf(node: NodeFact): Finding {
  switch (node.type) {
    case "running":
      return ok("node", "answers");
    case "stopped":
      return bad("node", "warn", "does not run", "start it, and ask again");
    case "silent":
      return bad(
        "node",
        "fail",
        `does not answer: ${node.words}`,
        "look into its log; stop it and start it again",
      );
  }
}

function statusFindings(status: JsonObject): Finding[] {
  return [
    clockOf(status["clock"]),
    diskOf(status["state"]),
    relaysOf(status["relays"]),
    circuitsOf(status["circuits"]),
    reachOf(status["reach"]),
    accountingOf(status["accounting"]),
    familyOf(status["family"]),
  ].filter((finding) => finding !== undefined);
}

function clockOf(clock: JsonValue | undefined): Finding {
  const words = isJsonObject(clock) ? clock["words"] : undefined;
  return typeof words === "string"
    ? bad("clock", "fail", words, "set the clock; the node goes on by itself")
    : ok("clock", "no peer says that it is wrong");
}

function diskOf(state: JsonValue | undefined): Finding | undefined {
  return typeof state !== "string" || state === "fine" ? undefined : bad(
    "disk",
    "fail",
    state,
    "mend that: what the node learns now is lost when it stops",
  );
}

function relaysOf(relays: JsonValue | undefined): Finding {
  const count = typeof relays === "number" ? relays : 0;
  return count === 0
    ? bad(
      "relays",
      "fail",
      "no relay is known",
      "give --bootstrap the address of one that runs, and let UDP out",
    )
    : ok("relays", `${count} known`);
}

function circuitsOf(circuits: JsonValue | undefined): Finding | undefined {
  if (!isJsonObject(circuits)) return undefined;
  const words = String(circuits["words"] ?? circuits["state"]);
  switch (circuits["state"]) {
    case "fine":
      return ok("circuits", "can be built");
    case "guards_down":
      return bad(
        "guards",
        "fail",
        words,
        "see that this machine is online, and that no firewall stops UDP",
      );
    case "guards_missing":
      return bad("guards", "fail", words, "wait: others stand in after 10 min");
    default:
      return bad(
        "circuits",
        "fail",
        words,
        "wait for more relays, or start some: a circuit of 3 hops takes 4",
      );
  }
}

function reachOf(reach: JsonValue | undefined): Finding | undefined {
  if (!isJsonObject(reach)) return undefined;
  const words = String(reach["words"] ?? reach["state"]);
  if (reach["state"] === "reached") return ok("reachable", words);
  return reach["state"] === "not_reached"
    ? bad(
      "reachable",
      "fail",
      words,
      "forward the UDP port of --listen, open the firewall, check --advertise",
    )
    : bad("reachable", "warn", words, "wait until other relays have tried");
}

function accountingOf(accounting: JsonValue | undefined): Finding | undefined {
  if (!isJsonObject(accounting)) return undefined;
  const words = String(accounting["words"]);
  return accounting["state"] === "awake" ? ok("accounting", words) : bad(
    "accounting",
    "warn",
    words,
    "wait, or raise --accounting-max",
  );
}

function familyOf(family: JsonValue | undefined): Finding | undefined {
  if (!isJsonObject(family)) return undefined;
  const words = String(family["words"]);
  return family["strangers"] === 0 ? ok("family", words) : bad(
    "family",
    "warn",
    words,
    "give all relays of yours the same family.key and --family",
  );
}

function serviceFindings({ name, trouble, ports }: ServiceFact): Finding[] {
  const what = `service ${name}`;
  if (trouble !== undefined) {
    return [bad(what, "fail", trouble, "look into the log of the node")];
  }
  return ports.map((visit) => visitOf(what, visit));
}

/** Codes that a visitor gets of a service for some clients alone. */
const NOT_FOR_US: ReadonlySet<string> = new Set([
  "service.authorisation_missing",
  "service.authorisation_wrong",
]);

/** Codes by which a service says that what stands behind it does not answer. */
const TARGET_DEAD: ReadonlySet<string> = new Set([
  "service.refused",
  "service.timeout",
]);

function visitOf(what: string, { port, refusal }: PortVisitFact): Finding {
  if (refusal === undefined) return ok(what, `port ${port} answers a visitor`);
  const { code, words } = refusal;
  if (NOT_FOR_US.has(code)) {
    return ok(what, `port ${port} is found; only its clients may visit it`);
  }
  return TARGET_DEAD.has(code)
    ? bad(
      what,
      "fail",
      `port ${port} is reached, and what stands behind it does not answer`,
      "start the server that PORT=TARGET names, and see that it listens there",
    )
    : bad(
      what,
      "fail",
      `port ${port} cannot be visited: ${words}`,
      "see that circuits can be built, and look into the log",
    );
}
