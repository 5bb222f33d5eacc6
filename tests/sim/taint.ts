/**
 * Who has seen what: marks that must not be in the wrong hands, and every machine
 * of a network with a list of those that it came across.
 *
 *     wires ──────────── bytes read and written, and who was there ─┐
 *     cryptography ───── what went in and came out ─────────────────┼─▶ View: marks
 *     disk, log ──────── at the end ────────────────────────────────┘
 *
 * So are times by a machine's own clock: how far it is off ties all names of one
 * machine together.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { parseIp } from "../../lib/auth/socket_address.ts";
import { utf8 } from "../../lib/base/bytes.ts";
import { CELL_BYTES } from "../../lib/circuit/cell.ts";
import { spyingSuite } from "./spying_suite.ts";
import type { WholeWorld, WorldMachine, WorldOptions } from "./whole_world.ts";

/**
 * As much of a cell as no two have in common by chance: behind the name of the relay
 * that the first cell of a circuit begins with, and before its padding.
 */
const CELL_PART = { begin: 256, end: 272 } as const;

/** Something that can be recognised wherever it turns up. */
export interface Mark {
  /** What it is. */
  readonly name: string;
  /** Each way to write it; 16 bytes at least, so that chance does not. */
  readonly forms: readonly Buffer[];
}

const HOUR_MS = 3_600_000;
/** Numbers so near to now are taken for times, ms. */
const NEAR_MS = 72 * HOUR_MS;

/** A time that stands in bytes, as ms since 1970 in 8 bytes: in CBOR and out of it. */
interface SeenTime {
  /** The machine that wrote it, if it is a time of day by that one's clock. */
  readonly clockOf: string | undefined;
  /** Machines that came across it. */
  readonly seenBy: Set<string>;
}

/** What one machine came across. */
export class View {
  readonly marks = new Set<string>();
  /** Hosts that it exchanged bytes with. */
  readonly peers = new Set<string>();
  /** Bytes looked at. */
  bytes = 0;
  /** A part of each cell that it sent or was sent, with the hosts at the other end. */
  readonly cells = new Map<string, Set<string>>();

  /** A cell, or several in a row, went to a host or came from there. */
  onCells(bytes: Uint8Array, host: string): void {
    for (let at = 0; at < bytes.length; at += CELL_BYTES) {
      const { begin, end } = CELL_PART;
      const part = bytes.subarray(at + begin, at + end).toHex();
      const hosts = this.cells.get(part) ?? new Set();
      this.cells.set(part, hosts.add(host));
    }
  }
}

/** All views of a world. */
export class Taint {
  readonly #marks: Mark[] = [];
  readonly #views = new Map<string, View>();
  readonly #times = new Map<number, SeenTime>();
  #world: WholeWorld | undefined;

  /** What a world needs, so that nothing in it goes unseen. */
  get options(): Pick<WorldOptions, "cryptoOf" | "host"> {
    return {
      host: hostOf,
      cryptoOf: (name, suite) =>
        spyingSuite(suite, (bytes) => this.#see(name, bytes)),
    };
  }

  /** Look at the wires of `world` too. */
  watch(world: WholeWorld): void {
    this.#world = world;
    const names = new Map<string, string>();
    const nameOf = (host: string) => {
      const known = names.get(host) ??
        world.machines.find((machine) => machine.host === host)?.name ?? host;
      names.set(host, known);
      return known;
    };
    world.network.observe = ({ from, to, bytes }) => {
      const [sender, receiver] = [nameOf(from.host), nameOf(to.host)];
      this.#see(sender, bytes);
      this.#see(receiver, bytes);
      if (isCells(bytes)) {
        this.view(sender).onCells(bytes, to.host);
        this.view(receiver).onCells(bytes, from.host);
      }
      this.view(sender).peers.add(to.host);
      this.view(receiver).peers.add(from.host);
    };
  }

  /** Look for something more from now on. */
  add(mark: Mark): void {
    for (const form of mark.forms) {
      if (form.length < 16) throw new RangeError(`${mark.name} is too short`);
    }
    this.#marks.push(mark);
  }

  /** What a machine has seen. */
  view(name: string): View {
    const view = this.#views.get(name) ?? new View();
    this.#views.set(name, view);
    return view;
  }

  /** Look at what is left on a machine: its disk and its log. */
  async inspect({ name, files, log }: WorldMachine): Promise<void> {
    for (const file of await files.list("state")) {
      const bytes = await files.read(`state/${file}`);
      if (bytes !== undefined) this.#see(name, bytes);
    }
    for (const line of log.lines) this.#see(name, utf8(JSON.stringify(line)));
  }

  /** Names of machines that have seen a mark. */
  whoSaw(mark: string): string[] {
    return [...this.#views].filter(([, { marks }]) => marks.has(mark))
      .map(([name]) => name).sort();
  }

  /** Machines whose clock another machine can read, to the ms, off what it came across. */
  get clocksTold(): string[] {
    const told = new Set<string>();
    for (const { clockOf, seenBy } of this.#times.values()) {
      if (clockOf !== undefined && seenBy.size > 1) told.add(clockOf);
    }
    return [...told].sort();
  }

  /** Times that machines came across. */
  get timesSeen(): number {
    return this.#times.size;
  }

  /**
   * Times in `bytes`. The first to come across one is the machine that writes it, in the
   * very moment: whole hours later or earlier it is its clock still.
   */
  #seeTimes(name: string, buffer: Buffer): void {
    const machine = this.#world?.machines.find((it) => it.name === name);
    if (machine === undefined) return;
    const unixMs = machine.clock.unixMs();
    const head = Buffer.alloc(8);
    head.writeBigUInt64BE(BigInt(unixMs));
    const prefix = head.subarray(0, 4);
    let at = -1;
    while ((at = buffer.indexOf(prefix, at + 1)) >= 0) {
      if (at + 8 > buffer.length) return;
      const time = Number(buffer.readBigUInt64BE(at));
      if (Math.abs(time - unixMs) > NEAR_MS) continue;
      const isOwnClock = Math.abs(time - unixMs) % HOUR_MS <= 1;
      const seen = this.#times.getOrInsertComputed(time, () => ({
        clockOf: isOwnClock ? name : undefined,
        seenBy: new Set<string>(),
      }));
      seen.seenBy.add(name);
    }
  }

  #see(name: string, bytes: Uint8Array): void {
    const view = this.view(name);
    view.bytes += bytes.length;
    const buffer = Buffer.from(
      bytes.buffer,
      bytes.byteOffset,
      bytes.byteLength,
    );
    this.#seeTimes(name, buffer);
    for (const mark of this.#marks) {
      if (view.marks.has(mark.name)) continue;
      if (mark.forms.some((form) => buffer.includes(form))) {
        view.marks.add(mark.name);
      }
    }
  }
}

/** Whether these are cells, whole ones: links write nothing else in such lengths. */
function isCells(bytes: Uint8Array): boolean {
  return bytes.length > 0 && bytes.length % CELL_BYTES === 0;
}

/** The host of a machine: so long that it is not in other bytes by chance. */
export function hostOf(number: number): string {
  const group = (0x1111 * (1 + number % 15)).toString(16);
  return `fd5e:9a3b:71c4:e208:${group}:b6f1:${
    (0x4000 + number).toString(16)
  }:9d27`;
}

/** An address, however it is written. */
export function addressMark(name: string, host: string): Mark {
  const bytes = parseIp(host);
  if (bytes === undefined) throw new TypeError(`${host} is no address`);
  return bytesMark(name, bytes, host);
}

/** A key or another run of bytes, however it is written. */
export function bytesMark(
  name: string,
  bytes: Uint8Array,
  ...texts: readonly string[]
): Mark {
  const written = [bytes.toHex(), bytes.toBase64(), ...texts];
  return {
    name,
    forms: [Buffer.from(bytes), ...written.map((text) => Buffer.from(text))],
  };
}
