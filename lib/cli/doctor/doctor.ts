/**
 * `anonnet doctor`: what is wrong with a node that runs or does not, and what to do.
 *
 * @module
 */
import { formatSocketAddress } from "../../auth/socket_address.ts";
import { defineCommand } from "../flags/command.ts";
import { optionalFlag, switchFlag } from "../flags/flag.ts";
import { parseOwnAddress, stateFlag } from "../flags/node_flags.ts";
import { diagnose, formatFinding, worst } from "./findings.ts";
import { look, type WantedPort } from "./look.ts";
import { systemOfDoctor } from "./system.ts";

/** `anonnet doctor`. */
export const doctorCommand = defineCommand({
  name: "doctor",
  summary: "say what is wrong with a node, and what to do",
  details:
    "Looks at the state directory, the ports, the permissions and the machine's " +
    "addresses, and, where the node runs, at its clock, relays, guards, circuits and " +
    "services. One line for each: ok, warn or fail. The exit code is 1 if one fails.",
  flags: {
    state: stateFlag,
    listen: optionalFlag(
      "IP:PORT",
      "see whether a relay could listen there",
      parseOwnAddress,
    ),
    socks: optionalFlag(
      "IP:PORT",
      "see whether a SOCKS5 proxy could listen there",
      parseOwnAddress,
    ),
    http: optionalFlag(
      "IP:PORT",
      "see whether an HTTP proxy could listen there",
      parseOwnAddress,
    ),
    json: switchFlag("print one JSON object"),
  },
  async run({ state, json, ...places }, { terminal, files }) {
    const ports: WantedPort[] = [];
    for (const name of ["listen", "socks", "http"] as const) {
      const address = places[name];
      if (address === undefined) continue;
      ports.push({
        name: `--${name} ${formatSocketAddress(address)}`,
        kind: name === "listen" ? "udp" : "tcp",
        address,
      });
    }
    const facts = await look(files, systemOfDoctor(), state, ports);
    const findings = diagnose(facts);
    const verdict = worst(findings);
    if (json) terminal.print(JSON.stringify({ verdict, findings }));
    else for (const finding of findings) terminal.print(formatFinding(finding));
    return verdict === "fail" ? 1 : 0;
  },
});
