/**
 * What running nodes say of themselves, asked by the test's own process: one of the
 * program's would cost a quarter of a second of a processor for each question.
 *
 * @module
 */
import assert from "node:assert/strict";
import { askNode } from "../../lib/cli/ask/ask_node.ts";
import {
  isJsonObject,
  type JsonObject,
  type JsonValue,
} from "../../lib/control/json.ts";
import { DenoFiles } from "../../lib/storage/deno_files.ts";
import type { NodeProcess } from "./process_network.ts";

/** Longest wait for an answer, ms: all processes of a test share a machine. */
const ANSWER_MS = 30_000;

const FILES = new DenoFiles();

/** What the node on a state directory answers to a command of its control interface. */
export async function ask(state: string, command: string): Promise<JsonValue> {
  return await askNode(FILES, state, command, {}, ANSWER_MS);
}

/** The same, where it is an object. */
export async function askObject(
  state: string,
  command: string,
): Promise<JsonObject> {
  return objectOf(await ask(state, command));
}

/** The same, where it is a list of objects. */
export async function askList(
  state: string,
  command: string,
): Promise<JsonObject[]> {
  const answer = await ask(state, command);
  assert.ok(Array.isArray(answer));
  return answer.filter(isJsonObject);
}

/** `value`, which is an object. */
export function objectOf(value: JsonValue | undefined): JsonObject {
  return value !== undefined && isJsonObject(value) ? value : assert.fail();
}

/** The relays to which a node has links: its guards. */
export async function guardsOf(
  { state }: NodeProcess,
  relays: readonly NodeProcess[],
): Promise<NodeProcess[]> {
  const keys = (await askList(state, "peers"))
    .map(({ publicKey }) => String(publicKey));
  return relays.filter(({ address }) =>
    keys.some((key) => address.includes(key))
  );
}
