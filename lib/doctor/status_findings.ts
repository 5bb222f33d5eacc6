/**
 * What is wrong with a node that runs, by its answer to `status`: for `anonnet doctor`,
 * and for the dashboard, which asks in the node itself.
 *
 * @see protocol §9.3 "Control interface"
 * @module
 */
import {
  isJsonObject,
  type JsonObject,
  type JsonValue,
} from "../control/json.ts";
import { bad, type Finding, ok } from "./finding.ts";

/** Addresses that a line names: more would not be read. */
const MAX_HOSTS = 3;

/** All findings, in the order in which they are to be mended. */
export function statusFindings(
  status: JsonObject,
  hosts: readonly string[] = [],
): Finding[] {
  return [
    clockOf(status["clock"]),
    diskOf(status["state"]),
    relaysOf(status["relays"]),
    circuitsOf(status["circuits"]),
    reachOf(status["reach"], forwarding(status["listen"], hosts)),
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

/** What to set at the router, as far as port and addresses are known. */
function forwarding(
  listen: JsonValue | undefined,
  hosts: readonly string[],
): string {
  const port = /:([0-9]+)$/.exec(typeof listen === "string" ? listen : "")?.[1];
  if (port === undefined) return "forward the UDP port of --listen";
  const target = hosts.length === 0
    ? "this machine"
    : `this machine (${hosts.slice(0, MAX_HOSTS).join(" or ")})`;
  return `have the router forward UDP port ${port} to port ${port} of ${target}`;
}

function reachOf(
  reach: JsonValue | undefined,
  forwarding: string,
): Finding | undefined {
  if (!isJsonObject(reach)) return undefined;
  const words = String(reach["words"] ?? reach["state"]);
  if (reach["state"] === "reached") return ok("reachable", words);
  return reach["state"] === "not_reached"
    ? bad(
      "reachable",
      "fail",
      words,
      `${forwarding}, open the firewall, check --advertise`,
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
