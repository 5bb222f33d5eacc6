/**
 * Commands that ask the node which owns a state directory.
 *
 * @module
 */
import { ConfigError } from "../../base/errors.ts";
import { callControl } from "../../control/control_client.ts";
import {
  type ControlNote,
  parseControlNote,
} from "../../control/control_note.ts";
import type { JsonObject, JsonValue } from "../../control/json.ts";
import { CONTROL_NOTE } from "../../node/node_control.ts";
import type { Files } from "../../storage/files.ts";
import { storageError } from "../../storage/storage_error.ts";

/** Longest wait for an answer that the node has at hand, ms. */
const ANSWER_MS = 10_000;

/**
 * Have the node that owns the state directory `state` carry out a command.
 *
 * @param answerMs Longest wait for its answer, ms.
 * @throws {ConfigError} `cli.not_running` when there is no note; and as
 * {@linkcode callControl}.
 */
export async function askNode(
  files: Files,
  state: string,
  command: string,
  args: JsonObject = {},
  answerMs: number = ANSWER_MS,
): Promise<JsonValue> {
  const note = await readNote(files, state);
  const signal = AbortSignal.timeout(answerMs);
  return await callControl(note, command, args, { signal });
}

async function readNote(files: Files, state: string): Promise<ControlNote> {
  const path = `${state}/${CONTROL_NOTE}`;
  const bytes = await files.read(path).catch((cause) => {
    throw storageError(`Cannot read "${path}"`, cause);
  });
  if (bytes === undefined && await files.facts(state) === undefined) {
    throw new ConfigError(
      "cli.no_state",
      `Cannot ask the node: none is running on state directory "${state}", ` +
        `which is not there; name the right one with --state. A node that runs on a directory which was ` +
        `removed cannot be asked: stop it, and start it again`,
    );
  }
  if (bytes === undefined) {
    throw new ConfigError(
      "cli.not_running",
      `Cannot ask the node: none is running on state directory "${state}"; ` +
        `start one, or name its directory with --state`,
    );
  }
  const note = parseControlNote(new TextDecoder().decode(bytes));
  if (note.place.type !== "unix") return note;
  const { token, place: { path: socket } } = note;
  return { token, place: { type: "unix", path: `${state}/${socket}` } };
}
