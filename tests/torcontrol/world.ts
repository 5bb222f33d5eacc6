/**
 * A control port on a node that is not there: what it is asked for is kept, and what
 * it says is what the test says. Time stands still until a test moves it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { asPublicKey, type PublicKey } from "../../lib/auth/identity.ts";
import { type Bytes, formatBase32, parseBase32 } from "../../lib/base/bytes.ts";
import type { Clock, Timer } from "../../lib/base/clock.ts";
import { ConfigError } from "../../lib/base/errors.ts";
import { seededRandom } from "../../lib/base/random.ts";
import { nobleSuite } from "../../lib/crypto/noble.ts";
import { textBytes } from "../../lib/torcontrol/byte_text.ts";
import type { OnionRequest } from "../../lib/torcontrol/onion_request.ts";
import { PasswordHash } from "../../lib/torcontrol/password_hash.ts";
import { TorControlServer } from "../../lib/torcontrol/tor_control_server.ts";
import type {
  AddedOnion,
  OnionCredential,
  OnionStatus,
  TorCircuit,
  TorLogLine,
  TorNode,
  TorProgram,
  TorStream,
} from "../../lib/torcontrol/tor_node.ts";
import type { TorSignal } from "../../lib/torcontrol/tor_signal.ts";

export const COOKIE = new Uint8Array(32).map((_, index) => index);
export const COOKIE_HEX = COOKIE.toHex();
/** Of "hello", as `tor --hash-password` prints it. */
export const HELLO_HASH =
  "16:2B476AFA19C970C2601B08FB85B4D84C243FDB64A97FB79ACA2F4E162E";
export const VERSION = "0.4.8.10-anonnet";
export const crypto = nobleSuite();

/** Time that a test moves. */
export class HandClock implements Clock {
  #nowMs = 0;
  readonly #wakes = new Set<
    { readonly atMs: number; readonly wake: () => void }
  >();

  nowMs(): number {
    return this.#nowMs;
  }

  unixMs(): number {
    return Date.UTC(2026, 0, 1) + this.#nowMs;
  }

  schedule(delayMs: number, wake: () => void): Timer {
    const entry = { atMs: this.#nowMs + delayMs, wake };
    this.#wakes.add(entry);
    return { cancel: () => this.#wakes.delete(entry) };
  }

  /** Go on, and wake who is due. */
  advance(ms: number): void {
    this.#nowMs += ms;
    for (const entry of [...this.#wakes]) {
      if (entry.atMs > this.#nowMs) continue;
      this.#wakes.delete(entry);
      entry.wake();
    }
  }
}

interface FakeOnion {
  readonly id: string;
  readonly request: OnionRequest;
  readonly program: FakeProgram | undefined;
}

/** A node that keeps what it is asked for. */
export class FakeNode implements TorNode {
  progress = { percent: 100, tag: "done", summary: "Done" };
  traffic = { read: 0, written: 0 };
  circuits: TorCircuit[] = [];
  streams: TorStream[] = [];
  listeners: TorNode["listeners"] = {
    socks: { host: "127.0.0.1", port: 9250 },
    http: undefined,
  };
  uptimeSeconds = 17;
  processId = 42;
  stateDirectory = "/var/lib/anonnet";
  isAutomapping = false;
  credentials: OnionCredential[] = [];
  logLines: TorLogLine[] = [];
  readonly signals: TorSignal[] = [];
  readonly onions = new Map<string, FakeOnion>();
  readonly answered: string[] = [];
  ownersGone = 0;
  /** What adding waits for. */
  adding: Promise<void> = Promise.resolve();
  /** Called as adding begins. */
  onAdding: () => void = () => {};
  /** Called as a program goes. */
  onProgramGone: () => void = () => {};
  #drawn = 0;

  keyOf(id: string): PublicKey | undefined {
    const bytes = id.length === 56 ? parseBase32(id) : undefined;
    return bytes && asPublicKey(bytes.subarray(0, 32));
  }

  idOf(service: PublicKey): string {
    return formatBase32(new Uint8Array([...service, 0, 0, 3]));
  }

  nextId(): string {
    return this.idOf(asPublicKey(new Uint8Array(32).fill(++this.#drawn)));
  }

  admit(): FakeProgram {
    return new FakeProgram(this);
  }

  newLogLines(): readonly TorLogLine[] {
    return this.logLines.splice(0);
  }

  signal(signal: TorSignal): string | undefined {
    if (signal === "reload") return "There is no file to read again";
    this.signals.push(signal);
    return undefined;
  }

  onOwnerGone(): void {
    this.ownersGone++;
  }

  addCredential(credential: OnionCredential): boolean {
    const wasThere = this.removeCredential(credential.service);
    this.credentials.push(credential);
    return !wasThere;
  }

  removeCredential(service: PublicKey): boolean {
    const before = this.credentials.length;
    this.credentials = this.credentials.filter((known) =>
      this.idOf(known.service) !== this.idOf(service)
    );
    return this.credentials.length < before;
  }
}

class FakeProgram implements TorProgram {
  readonly #node: FakeNode;
  #isGone = false;

  constructor(node: FakeNode) {
    this.#node = node;
  }

  async addOnion(request: OnionRequest): Promise<AddedOnion> {
    const node = this.#node;
    node.onAdding();
    await node.adding;
    if (this.#isGone) {
      throw new ConfigError("service.owner_gone", "The program has gone");
    }
    const id = request.secret === undefined
      ? node.nextId()
      : node.idOf(asPublicKey(request.secret.subarray(0, 32)));
    if (node.onions.has(id)) {
      throw new ConfigError("service.key_in_use", "The key is in use");
    }
    const program = request.isDetached ? undefined : this;
    node.onions.set(id, { id, request, program });
    const isNew = request.secret === undefined;
    const secret: Bytes | undefined = isNew
      ? new Uint8Array(64).fill(1)
      : undefined;
    return { id, secret, onAnswered: () => node.answered.push(id) };
  }

  removeOnion(id: string): Promise<boolean> {
    const onion = this.#node.onions.get(id);
    const mayRemove = onion !== undefined &&
      (onion.program === undefined || onion.program === this);
    if (mayRemove) this.#node.onions.delete(id);
    return Promise.resolve(mayRemove);
  }

  get onions(): OnionStatus[] {
    return [...this.#node.onions.values()].map(({ id, program }) => ({
      id,
      owner: program === undefined
        ? "detached"
        : program === this
        ? "mine"
        : "other",
    }));
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#isGone = true;
    for (const { id, program } of this.#node.onions.values()) {
      if (program === this) this.#node.onions.delete(id);
    }
    this.#node.onProgramGone();
    return Promise.resolve();
  }
}

/** A control port, and what its node was asked for. */
export class TorControlWorld implements AsyncDisposable {
  readonly node = new FakeNode();
  readonly clock = new HandClock();
  readonly faults: unknown[] = [];
  readonly server: TorControlServer;
  readonly #clients: TorClient[] = [];

  constructor(options: { readonly passwords?: readonly string[] } = {}) {
    this.server = new TorControlServer({
      address: { host: "127.0.0.1", port: 0 },
      terms: termsOf(options.passwords),
      node: this.node,
      clock: this.clock,
      onFault: (error) => this.faults.push(error),
    });
  }

  /** Connect, as a stranger. */
  async connect(): Promise<TorClient> {
    const { host: hostname, port } = this.server.address;
    const client = new TorClient(await Deno.connect({ hostname, port }));
    this.#clients.push(client);
    return client;
  }

  /** Connect, and show the cookie. */
  async enter(): Promise<TorClient> {
    const client = await this.connect();
    assert.equal(await client.ask(`AUTHENTICATE ${COOKIE_HEX}`), "250 OK\r\n");
    return client;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.server[Symbol.asyncDispose]();
    for (const client of this.#clients) client.close();
    assert.deepEqual(this.faults, []);
  }
}

/** What connections are let in by. */
export function termsOf(passwords: readonly string[] = []) {
  return {
    cookie: COOKIE,
    cookiePath: '/var/lib/"anonnet"/control-auth-cookie',
    passwords: passwords.map((text) => PasswordHash.parse(text)),
    version: VERSION,
    crypto,
    random: seededRandom(1),
  };
}

/** A program at the control port that takes and gives bytes. */
export class TorClient {
  readonly #socket: Deno.TcpConn;
  #text = "";
  #isClosed = false;

  constructor(socket: Deno.TcpConn) {
    this.#socket = socket;
  }

  async send(text: string): Promise<void> {
    const bytes = textBytes(text);
    for (let sent = 0; sent < bytes.length;) {
      sent += await this.#socket.write(bytes.subarray(sent));
    }
  }

  /** Send a line, and read its whole reply. */
  async ask(line: string): Promise<string> {
    await this.send(`${line}\r\n`);
    return await this.reply();
  }

  /** The next whole reply or event. */
  async reply(): Promise<string> {
    for (;;) {
      const end = endOfReply(this.#text);
      if (end !== undefined) {
        const reply = this.#text.slice(0, end);
        this.#text = this.#text.slice(end);
        return reply;
      }
      assert.ok(await this.#readMore(), `ended after ${this.#text}`);
    }
  }

  /** All that comes until the port closes. */
  async rest(): Promise<string> {
    while (await this.#readMore());
    return this.#text;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#socket.close();
  }

  async #readMore(): Promise<boolean> {
    const buffer = new Uint8Array(65_536);
    try {
      const count = await this.#socket.read(buffer);
      if (count === null) return false;
      this.#text += String.fromCharCode(...buffer.subarray(0, count));
      return true;
    } catch (error) {
      if (error instanceof Deno.errors.ConnectionReset) return false;
      throw error;
    }
  }
}

function endOfReply(text: string): number | undefined {
  for (let at = 0; at < text.length;) {
    const end = text.indexOf("\r\n", at);
    if (end < 0) return undefined;
    const mark = text[at + 3];
    at = end + 2;
    if (mark === " ") return at;
    if (mark === "+") {
      const block = text.indexOf(".\r\n", at);
      if (block < 0) return undefined;
      at = block + 3;
    }
  }
  return undefined;
}
