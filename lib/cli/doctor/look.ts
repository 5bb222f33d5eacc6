/**
 * Looks at a node, running or not, without changing anything that it keeps.
 *
 * @module
 */
import type { SocketAddress } from "../../auth/socket_address.ts";
import { describeError, errorCode } from "../../base/errors.ts";
import { isJsonObject, type JsonValue } from "../../control/json.ts";
import {
  directoryFact,
  type StateFact,
  systemCode,
} from "../../doctor/machine_findings.ts";
import type { Files } from "../../storage/files.ts";
import { askNode } from "../ask/ask_node.ts";
import { isNewEnough } from "../process/deno_version.ts";
import { PROGRAM_VERSION } from "../process/program_version.ts";
import type {
  DoctorFacts,
  NodeFact,
  PortFact,
  PortVisitFact,
  ServiceFact,
} from "./findings.ts";

/** What the program asks of its system, so that a test can answer. */
export interface DoctorSystem {
  readonly denoVersion: string;
  missingPermissions(): Promise<readonly string[]>;
  /** Try a port, and let it go. */
  tryPort(kind: "udp" | "tcp", address: SocketAddress): PortFact["state"];
  families(): DoctorFacts["families"];
}

/** A port that the node would take. */
export interface WantedPort {
  readonly name: string;
  readonly kind: "udp" | "tcp";
  readonly address: SocketAddress;
}

/** Longest wait for a visit, ms: the node gives it up before. */
const VISIT_MS = 60_000;

/** A name that no file of a state directory has. */
const PROBE = "doctor.tmp";

/** Look at all of it. */
export async function look(
  files: Files,
  system: DoctorSystem,
  state: string,
  ports: readonly WantedPort[],
): Promise<DoctorFacts> {
  const node = await nodeFact(files, state);
  const families = system.families();
  return {
    program: PROGRAM_VERSION,
    deno: {
      version: system.denoVersion,
      isNewEnough: isNewEnough(system.denoVersion),
    },
    missingPermissions: await system.missingPermissions(),
    state: await stateFact(files, state),
    node,
    ports: node.type === "stopped"
      ? ports.map(({ name, kind, address }) => ({
        name,
        state: system.tryPort(kind, address),
      }))
      : [],
    ...families && { families },
    services: node.type === "running" ? await services(files, state) : [],
  };
}

async function stateFact(files: Files, path: string): Promise<StateFact> {
  const fact = await directoryFact(files, path);
  if (fact.type !== "fine") return fact;
  const probe = `${path}/${PROBE}`;
  try {
    await files.remove(probe);
    using file = await files.create(probe);
    await file.write(new Uint8Array(4096));
    await file.sync();
    return { type: "fine" };
  } catch (error) {
    return { type: "unwritable", code: systemCode(error) };
  } finally {
    await files.remove(probe).catch(() => {});
  }
}

async function nodeFact(files: Files, state: string): Promise<NodeFact> {
  try {
    const status = await askNode(files, state, "status");
    return isJsonObject(status)
      ? { type: "running", status }
      : { type: "silent", words: "its answer makes no sense" };
  } catch (error) {
    const code = errorCode(error);
    return code === "cli.not_running" || code === "cli.no_state"
      ? { type: "stopped" }
      : { type: "silent", words: describeError(error) };
  }
}

async function services(files: Files, state: string): Promise<ServiceFact[]> {
  const answer = await askNode(files, state, "services").catch(() => []);
  const listed: JsonValue[] = Array.isArray(answer) ? answer : [];
  return await Promise.all(
    listed.filter(isJsonObject).map(async ({ name }) => {
      const fact = { name: String(name), ports: [] };
      try {
        const answer = await askNode(files, state, "visit", {
          name: fact.name,
        }, VISIT_MS);
        return { ...fact, ports: portsOf(answer) };
      } catch (error) {
        return { ...fact, trouble: describeError(error) };
      }
    }),
  );
}

function portsOf(answer: JsonValue): PortVisitFact[] {
  const ports = isJsonObject(answer) ? answer["ports"] : undefined;
  return (Array.isArray(ports) ? ports : []).filter(isJsonObject).map(
    ({ port, refusal }) => ({
      port: Number(port),
      ...refusal !== undefined && isJsonObject(refusal) && {
        refusal: {
          code: String(refusal["code"]),
          words: String(refusal["words"]),
        },
      },
    }),
  );
}
