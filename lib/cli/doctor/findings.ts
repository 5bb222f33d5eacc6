/**
 * What is wrong with a node, by what was seen of it: one line for each thing that can
 * be, with what to do next. Facts come in, findings go out.
 *
 * @module
 */
import type { JsonObject } from "../../control/json.ts";
import { bad, type Finding, type Grade, ok } from "../../doctor/finding.ts";
import {
  addressesFinding,
  type AddressFamilies,
  type StateFact,
  stateFinding,
} from "../../doctor/machine_findings.ts";
import { statusFindings } from "../../doctor/status_findings.ts";

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
  readonly families?: AddressFamilies;
  readonly services: readonly ServiceFact[];
}

/** All findings, in the order in which they are to be mended. */
export function diagnose(facts: DoctorFacts): Finding[] {
  const { node } = facts;
  return [
    versionOf(facts),
    permissionsOf(facts),
    stateFinding(facts.state),
    ...facts.ports.map(portOf),
    addressesFinding(facts.families),
    nodeOf(node),
    ...node.type === "running"
      ? statusFindings(node.status, facts.families?.hosts ?? [])
      : [],
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
