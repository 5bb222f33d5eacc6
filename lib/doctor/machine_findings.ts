/**
 * What is wrong with the machine around a node: its state directory, and its addresses.
 *
 * @module
 */
import { errorCode } from "../base/errors.ts";
import type { Files } from "../storage/files.ts";
import { bad, type Finding, ok } from "./finding.ts";

/** What a state directory looks like. */
export type StateFact =
  | { readonly type: "missing" }
  | { readonly type: "fine" }
  | { readonly type: "not_directory" }
  /** Others may enter it. */
  | { readonly type: "open"; readonly mode: number }
  /** Nothing can be written to it, and why. */
  | { readonly type: "unwritable"; readonly code: string };

/** Whether the machine has an address of each kind. */
export interface AddressFamilies {
  readonly ipv4: boolean;
  readonly ipv6: boolean;
  /** The IPv4 addresses, to forward a port to. */
  readonly hosts: readonly string[];
}

/** What a look at a state directory shows, without a try to write there. */
export async function directoryFact(
  files: Pick<Files, "facts">,
  path: string,
): Promise<StateFact> {
  let facts;
  try {
    facts = await files.facts(path);
  } catch (error) {
    return { type: "unwritable", code: systemCode(error) };
  }
  if (facts === undefined) return { type: "missing" };
  if (facts.kind !== "directory") return { type: "not_directory" };
  const { mode } = facts;
  if (mode !== undefined && (mode & 0o077) !== 0) return { type: "open", mode };
  return { type: "fine" };
}

/** The system's word for what failed. */
export function systemCode(error: unknown): string {
  return error instanceof Error && "code" in error
    ? String(error.code)
    : errorCode(error, "unknown");
}

/** The kinds among addresses of this machine that lead out of it. */
export function familiesOf(addresses: readonly string[]): AddressFamilies {
  const hosts = addresses.filter((address) => !address.includes(":"));
  return {
    hosts,
    ipv4: hosts.length > 0,
    ipv6: addresses.some((address) => address.includes(":")),
  };
}

/** How the state directory is. */
export function stateFinding(state: StateFact): Finding {
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

/** How the machine is connected. @param families `undefined` where it may not be asked. */
export function addressesFinding(
  families: AddressFamilies | undefined,
): Finding {
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
