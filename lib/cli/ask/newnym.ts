/**
 * `anonnet newnym`: from now on a running node's visits have nothing in common with
 * those of before. The word is that of Tor's control protocol.
 *
 * @module
 */
import { isJsonObject } from "../../control/json.ts";
import { askNode } from "./ask_node.ts";
import { defineCommand } from "../flags/command.ts";
import { switchFlag } from "../flags/flag.ts";
import { stateFlag } from "../flags/node_flags.ts";

/** `anonnet newnym`. */
export const newnymCommand = defineCommand({
  name: "newnym",
  summary: "have a running node begin every visit anew",
  details:
    "New streams begin new sessions over other circuits, with descriptors that are " +
    "searched for anew, whatever user name they have; streams that run go on. " +
    "Guards stay: changing them would hide less. What a program keeps itself, such " +
    "as the cookies of a browser, still tells a site that it is the same visitor.",
  flags: { state: stateFlag, json: switchFlag("print one JSON object") },
  async run({ state, json }, { terminal, files }) {
    const answer = await askNode(files, state, "new-identity");
    if (json) terminal.print(JSON.stringify(answer));
    else if (isJsonObject(answer)) {
      terminal.print("New streams begin new sessions.");
      if (answer["streams"] !== 0) {
        terminal.print(`Streams that go on as before: ${answer["streams"]}`);
      }
    }
    return 0;
  },
});
