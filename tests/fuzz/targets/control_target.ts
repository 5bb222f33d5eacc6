/**
 * The control interface of a running node: programs that hold its token and write
 * JSON that no command of ours sends, or no HTTP at all.
 *
 * @module
 */
import { type Bytes, concat, utf8, utf8Text } from "../../../lib/base/bytes.ts";
import { controlHost } from "../../../lib/control/control_gate.ts";
import {
  type ControlNote,
  parseControlNote,
} from "../../../lib/control/control_note.ts";
import { latin1Bytes, latin1Text } from "../../../lib/http/latin1.ts";
import { CONTROL_NOTE } from "../../../lib/node/node_control.ts";
import { type Machine, NodeWorld } from "../../node/node_world.ts";
import { runOn } from "../../transport/world.ts";
import {
  decodeStep,
  encodeStep,
  type FuzzInput,
  type FuzzTarget,
  promise,
} from "../fuzz_target.ts";

/** Commands, each with arguments as they may be. */
const COMMANDS: readonly (readonly [string, string])[] = [
  ["status", "{}"],
  ["peers", ""],
  ["circuits", "{}"],
  ["services", "{}"],
  ["table", "{}"],
  ["sessions", '{"a": [1, null, {"b": 1.5}]}'],
  ["visits", "{}"],
  ["guards", "{}"],
  ["new-identity", "{}"],
  ["lookup", '{"host": "example.anon"}'],
  ["close-session", '{"id": "0123abcd"}'],
  ["client-key", '{"host": "example.anon"}'],
];

/** Arguments for the command that the first byte names, and raw bytes. */
const KIND = { call: 0, raw: 1 };

/** A request, with marks for what only this run knows. */
const RAW = [
  "POST /v1/status HTTP/1.1",
  "Host: <HOST>",
  "Authorization: Bearer <TOKEN>",
  "Content-Type: application/json",
  "Content-Length: 2",
  "Connection: close",
  "",
  "{}",
].join("\r\n");

/** A program waits no longer for an answer that may never come, ms. */
const PATIENCE_MS = 50;
const LONG_PATIENCE_MS = 10_000;

function requestOf(note: ControlNote, kind: number, body: Bytes): Bytes {
  if (kind === KIND.raw) {
    return latin1Bytes(
      latin1Text(body)
        .replace("<HOST>", controlHost(note.place))
        .replace("<TOKEN>", note.token),
    );
  }
  const [command] = COMMANDS[(body[0] ?? 0) % COMMANDS.length] ?? ["status"];
  const args = body.subarray(1);
  const head = [
    `POST /v1/${command} HTTP/1.1`,
    `Host: ${controlHost(note.place)}`,
    `Authorization: Bearer ${note.token}`,
    "Content-Type: application/json",
    `Content-Length: ${args.length}`,
    "Connection: close",
  ];
  return concat(utf8(`${head.join("\r\n")}\r\n\r\n`), args);
}

/** Send a request, and read what is answered until the end. */
async function exchange(
  note: ControlNote,
  request: Bytes,
  patienceMs: number,
): Promise<string> {
  if (note.place.type !== "tcp") throw new TypeError("It is on a socket");
  const { host: hostname, port } = note.place.address;
  const conn = await Deno.connect({ hostname, port });
  let timer: ReturnType<typeof setTimeout> | undefined;
  const patience = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, patienceMs);
  });
  const chunks: Uint8Array[] = [];
  const talk = async () => {
    for (let sent = 0; sent < request.length;) {
      sent += await conn.write(request.subarray(sent));
    }
    const buffer = new Uint8Array(64 * 1024);
    for (;;) {
      const count = await conn.read(buffer);
      if (count === null) return;
      chunks.push(buffer.slice(0, count));
    }
  };
  const talking = talk().catch(() => {});
  await Promise.race([talking, patience]);
  clearTimeout(timer);
  conn.close();
  await talking;
  return latin1Text(concat(...chunks));
}

/** Only what we answer ourselves, and what the runtime's server does with no HTTP. */
function check(answer: string): string {
  const [head = "", ...rest] = answer.split("\r\n\r\n");
  const status = head.slice(0, 12);
  if (/^HTTP\/1\.1 5/.test(head)) {
    promise(
      rest.join("").startsWith('{"code":'),
      `a failure that is none of ours: ${head.slice(0, 60)}`,
    );
    promise(!rest.join("").includes('"unknown"'), `a bug: ${rest.join("")}`);
  }
  return status;
}

async function note(machine: Machine): Promise<ControlNote> {
  for (const path of [`state/${CONTROL_NOTE}`, CONTROL_NOTE]) {
    const bytes = await machine.files.read(path).catch(() => undefined);
    if (bytes !== undefined) return parseControlNote(utf8Text(bytes));
  }
  throw new TypeError("There is no note");
}

/** The control interface as a target. */
export const CONTROL: FuzzTarget = {
  name: "control/server",
  about:
    "the control interface of a relay: JSON and HTTP of programs that hold its token",
  hasSteps: true,
  allowed: [],
  cpu: { baseMs: 1500, perKibMs: 20 },
  seeds: () => [
    ...COMMANDS.map(([, args], number) => [
      encodeStep(KIND.call, concat(Uint8Array.of(number), utf8(args))),
    ]),
    [encodeStep(KIND.raw, latin1Bytes(RAW))],
  ],
  async run(input: FuzzInput) {
    const world = new NodeWorld();
    const machine = world.machine();
    const words = new Set<string>();
    const node = await runOn(
      world.clock,
      machine.startRelay({ control: { host: "127.0.0.1", port: 0 } }),
    );
    const known = await note(machine);
    for (const bytes of input.slice(0, 12)) {
      const { kind, body } = decodeStep(bytes, 2);
      const isCall = kind === KIND.call;
      const answer = await exchange(
        known,
        requestOf(known, kind, body),
        isCall ? LONG_PATIENCE_MS : PATIENCE_MS,
      );
      promise(!isCall || answer !== "", "a command was not answered");
      words.add(check(answer));
    }
    await runOn(world.clock, Promise.resolve(node[Symbol.asyncDispose]()));
    const errors = machine.log.messages("error");
    promise(errors.length === 0, `logged: ${errors[0]}`);
    return [...words].sort().join(" ");
  },
};
