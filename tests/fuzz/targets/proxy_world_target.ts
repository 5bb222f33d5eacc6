/**
 * Whole proxies on a port of this machine: a program on one side and a service on the
 * other write what they like.
 *
 * @module
 */
import { type Bytes, concat, utf8 } from "../../../lib/base/bytes.ts";
import { latin1Bytes } from "../../../lib/http/latin1.ts";
import {
  HOST,
  httpWorld,
  type RawClient,
  settle,
  socksWorld,
  until,
  type World,
} from "../../proxy/world.ts";
import {
  decodeStep,
  encodeStep,
  type FuzzInput,
  type FuzzTarget,
  promise,
} from "../fuzz_target.ts";
import { REQUESTS, RESPONSES } from "./head_targets.ts";

const KIND = { say: 0, answer: 1, end: 2, endAnswer: 3, wait: 4 };
const KINDS = Object.keys(KIND).length;
/** Longest of all deadlines of a proxy towards one client, ms. */
const AFTERMATH_MS = 20 * 60_000;

interface Server extends AsyncDisposable {
  readonly connections: number;
}

/** One program, and services that answer it. */
class Run {
  readonly #world: World<Server>;
  readonly #client: RawClient;

  constructor(world: World<Server>, client: RawClient) {
    this.#world = world;
    this.#client = client;
  }

  async play(input: FuzzInput): Promise<string> {
    let heard = 0;
    const reading = this.#client.readAll().then(
      (text) => heard = text.length,
      () => {},
    );
    for (const bytes of input) {
      const { kind, delayMs, body } = decodeStep(bytes, KINDS);
      await this.#do(kind, body).catch(() => {});
      await settle();
      if (delayMs > 0) await this.#world.clock.advance(delayMs);
    }
    const { gateway } = this.#world;
    const opened = gateway.opened.length;
    for (const { service } of gateway.opened) service.abort();
    this.#client.close();
    await reading;
    await this.#end();
    return `${Math.min(opened, 3)} streams ${
      Math.ceil(Math.log2(heard + 1) / 3)
    }`;
  }

  async #do(kind: number, body: Bytes): Promise<void> {
    const last = this.#world.gateway.opened.at(-1);
    switch (kind) {
      case KIND.say:
        return await this.#client.send(body);
      case KIND.answer:
        // A service that is not read waits; this one does not wait for that.
        return void last?.service.write(body).catch(() => {});
      case KIND.end:
        return await this.#client.end();
      case KIND.endAnswer:
        return await last?.service.closeWrite();
    }
  }

  /** The program is gone: nothing of it may stay. */
  async #end(): Promise<void> {
    const { server, clock, gateway, faults } = this.#world;
    for (let turn = 0; turn < 3 && server.connections > 0; turn++) {
      await settle();
      await clock.advance(AFTERMATH_MS);
    }
    await until(() => server.connections === 0);
    await clock.advance(AFTERMATH_MS);
    promise(clock.pending === 0, `${clock.pending} deadlines are left`);
    promise(gateway.opened.length <= 400, "one program opened 400 streams");
    for (const fault of faults) throw fault;
  }
}

async function play(
  world: World<Server>,
  input: FuzzInput,
): Promise<string> {
  await using _ = world;
  return await new Run(world, await world.connect()).play(input);
}

function say(text: string): Bytes {
  return encodeStep(KIND.say, latin1Bytes(text));
}

function httpRuns(): FuzzInput[] {
  const none = new Uint8Array(0);
  const answers = RESPONSES.map((text) =>
    encodeStep(KIND.answer, latin1Bytes(text))
  );
  const end = encodeStep(KIND.end, none);
  const endAnswer = encodeStep(KIND.endAnswer, none);
  const pairs = REQUESTS.slice(0, 5).map((request, n) => [
    say(request),
    answers[n % answers.length] ?? end,
    endAnswer,
  ]);
  return [
    ...pairs,
    pairs.flat(),
    [say(REQUESTS[0] ?? ""), end],
    [say(REQUESTS[2] ?? ""), say("hello"), ...answers, end],
    [say("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")],
    [say("GET /proxy.pac HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"), end],
  ];
}

function socksRuns(): FuzzInput[] {
  const host = utf8(HOST);
  const request = concat(
    Uint8Array.of(5, 1, 0, 3, host.length),
    host,
    Uint8Array.of(0, 80),
  );
  const bytes = (...parts: Uint8Array[]) =>
    encodeStep(KIND.say, concat(...parts));
  const greeting = Uint8Array.of(5, 1, 0);
  const password = Uint8Array.of(1, 1, 65, 1, 66);
  const answer = encodeStep(KIND.answer, new Uint8Array(3000));
  const end = encodeStep(KIND.end, new Uint8Array(0));
  return [
    [bytes(greeting), bytes(request), bytes(utf8("hello")), answer, end],
    [
      bytes(Uint8Array.of(5, 2, 2, 0xf0)),
      bytes(password),
      bytes(request),
      answer,
    ],
    [bytes(greeting, request, utf8("hello"))],
    [bytes(greeting), bytes(Uint8Array.of(5, 0xf0, 0, 3, 1, 65, 0, 0))],
    [bytes(utf8("GET / HTTP/1.1\r\n\r\n"))],
    [bytes(Uint8Array.of(4, 1, 0, 80, 1, 2, 3, 4, 0))],
  ];
}

const CPU = { baseMs: 800, perKibMs: 20 };

/** Proxies as targets. */
export const PROXY_WORLDS: readonly FuzzTarget[] = [
  {
    name: "proxy/http",
    about:
      "a whole HTTP proxy between a program and services that write what they like",
    hasSteps: true,
    allowed: [],
    cpu: CPU,
    seeds: httpRuns,
    run: async (input) => await play(await httpWorld(), input),
  },
  {
    name: "proxy/socks",
    about:
      "a whole SOCKS proxy between a program and services that write what they like",
    hasSteps: true,
    allowed: [],
    cpu: CPU,
    seeds: socksRuns,
    run: async (input) => await play(await socksWorld(), input),
  },
];
