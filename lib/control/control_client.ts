/**
 * Asking a running node: what `anonnet status` and its like do.
 *
 * @see protocol §9.3 "Control interface"
 * @module
 */
import { AnonNetError, ConfigError, UnreachableError } from "../base/errors.ts";
import { controlHost } from "./control_gate.ts";
import type { ControlNote, ControlPlace } from "./control_note.ts";
import { isJsonObject, type JsonObject, type JsonValue } from "./json.ts";

/** Longest answer, against a program that is not ours at a place we trusted. */
const MAX_ANSWER_BYTES = 16 * 1024 * 1024;

/** What a call takes. */
export interface CallOptions {
  /** Gives up; the promise rejects with its reason. */
  readonly signal?: AbortSignal;
}

/**
 * Have the node that left `note` carry out a command.
 *
 * @throws {ConfigError} when the node finds the arguments wrong; with its code
 * and message.
 * @throws {UnreachableError} `control.unreachable` when no node answers, or with
 * the node's own code when the command failed.
 */
export async function callControl(
  note: ControlNote,
  command: string,
  args: JsonObject = {},
  options: CallOptions = {},
): Promise<JsonValue> {
  const { place, token } = note;
  // A client of its own, which goes straight there: a proxy that the environment
  // names would be told the token.
  using client = Deno.createHttpClient({ proxy: straightTo(place) });
  const response = await send(
    new Request(`http://${controlHost(place)}/v1/${command}`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${token}`,
        "content-type": "application/json",
      },
      body: JSON.stringify(args),
      signal: options.signal ?? null,
    }),
    client,
  );
  const answer = await readJson(response);
  if (response.ok) return answer;
  throw errorOf(response.status, answer);
}

function straightTo(place: ControlPlace): Deno.Proxy {
  return place.type === "unix" ? { transport: "unix", path: place.path } : {
    transport: "tcp",
    hostname: place.address.host,
    port: place.address.port,
  };
}

async function send(
  request: Request,
  client: Deno.HttpClient,
): Promise<Response> {
  try {
    return await fetch(request, { client });
  } catch (cause) {
    if (request.signal.aborted) throw request.signal.reason;
    throw unreachable(cause);
  }
}

async function readJson(response: Response): Promise<JsonValue> {
  const chunks: Uint8Array<ArrayBuffer>[] = [];
  let bytes = 0;
  for await (const chunk of response.body ?? []) {
    bytes += chunk.length;
    if (bytes > MAX_ANSWER_BYTES) throw unreachable();
    chunks.push(chunk);
  }
  const text = await new Blob(chunks).text();
  if (text === "") return null;
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw unreachable(cause);
  }
}

function errorOf(status: number, answer: JsonValue): AnonNetError {
  if (!isJsonObject(answer)) return unreachable();
  const { code, message } = answer;
  if (typeof code !== "string" || typeof message !== "string") {
    return unreachable();
  }
  return status === 500
    ? new UnreachableError(code, message)
    : new ConfigError(code, message);
}

function unreachable(cause?: unknown): UnreachableError {
  return new UnreachableError(
    "control.unreachable",
    "Cannot reach the node's control interface: it may have stopped",
    { cause },
  );
}
