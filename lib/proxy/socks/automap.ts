/**
 * Addresses that stand for `.anon` names, for programs that insist on an address:
 * they ask the SOCKS proxy to resolve a name, and then to connect to what it said.
 *
 *     RESOLVE name ─▶ 198.18.0.0/15, one of its own for this key and name
 *     CONNECT to it, by the same key ─▶ the name
 *
 * The range is that of benchmarks (RFC 2544): nothing on the Internet or in a usual
 * LAN has it, so a program that forgets the proxy reaches nothing.
 *
 * @see protocol §8.3 "SOCKS5"
 * @module
 */
import { formatIp, parseIp } from "../../auth/socket_address.ts";

/** Addresses of all isolation keys, and of one. Against a program that asks for names without end. */
export const MAX_MAPPED = 4096;
export const MAX_MAPPED_PER_KEY = 512;
/** An address that was not used for so long stands for nothing, ms. */
export const MAPPED_MS = 60 * 60_000;

/** 198.18.0.0/15. */
const RANGE_START = 0xc612_0000;
const RANGE_SIZE = 1 << 17;

interface Mapped {
  readonly address: string;
  readonly host: string;
  readonly isolation: string | undefined;
  untilMs: number;
}

/** The addresses that one proxy has given out. */
export class Automap {
  /** By isolation key, then by name; what was used longest ago comes first. */
  readonly #byKey = new Map<string | undefined, Map<string, Mapped>>();
  readonly #byAddress = new Map<string, Mapped>();
  #next = 0;

  /** Addresses that stand for something. */
  get size(): number {
    return this.#byAddress.size;
  }

  /** The address that stands for a name, for this isolation key alone. */
  addressOf(
    host: string,
    isolation: string | undefined,
    nowMs: number,
  ): string {
    this.#expire(isolation, nowMs);
    const known = this.#byKey.get(isolation)?.get(host);
    if (known !== undefined) return this.#use(known, nowMs).address;
    this.#makeRoom(isolation, nowMs);
    const mapped: Mapped = {
      address: this.#freeAddress(),
      host,
      isolation,
      untilMs: nowMs + MAPPED_MS,
    };
    const ofKey = this.#byKey.get(isolation) ?? new Map<string, Mapped>();
    this.#byKey.set(isolation, ofKey.set(host, mapped));
    this.#byAddress.set(mapped.address, mapped);
    return mapped.address;
  }

  /** The name that an address stands for, if it does so for this isolation key. */
  hostOf(
    address: string,
    isolation: string | undefined,
    nowMs: number,
  ): string | undefined {
    this.#expire(isolation, nowMs);
    const mapped = this.#byAddress.get(address);
    if (mapped === undefined || mapped.isolation !== isolation) return;
    return this.#use(mapped, nowMs).host;
  }

  #use(mapped: Mapped, nowMs: number): Mapped {
    mapped.untilMs = nowMs + MAPPED_MS;
    const ofKey = this.#byKey.get(mapped.isolation);
    ofKey?.delete(mapped.host);
    ofKey?.set(mapped.host, mapped);
    return mapped;
  }

  #expire(isolation: string | undefined, nowMs: number): void {
    for (const mapped of this.#byKey.get(isolation)?.values() ?? []) {
      if (mapped.untilMs > nowMs) break;
      this.#forget(mapped);
    }
  }

  /** A key that is full pays itself; when all is full, the key that has most does. */
  #makeRoom(isolation: string | undefined, nowMs: number): void {
    const own = this.#byKey.get(isolation);
    if (own !== undefined && own.size >= MAX_MAPPED_PER_KEY) {
      this.#forgetOldest(own);
    }
    if (this.size < MAX_MAPPED) return;
    for (const key of this.#byKey.keys()) this.#expire(key, nowMs);
    if (this.size < MAX_MAPPED) return;
    const [largest] = [...this.#byKey.values()]
      .sort((a, b) => b.size - a.size);
    if (largest !== undefined) this.#forgetOldest(largest);
  }

  #forgetOldest(ofKey: Map<string, Mapped>): void {
    for (const oldest of ofKey.values()) return this.#forget(oldest);
  }

  #forget({ address, host, isolation }: Mapped): void {
    this.#byAddress.delete(address);
    const ofKey = this.#byKey.get(isolation);
    ofKey?.delete(host);
    if (ofKey?.size === 0) this.#byKey.delete(isolation);
  }

  /** In turn: an address that was forgotten comes back only after all others. */
  #freeAddress(): string {
    for (;;) {
      const number = RANGE_START + this.#next;
      this.#next = (this.#next + 1) % RANGE_SIZE;
      const bytes = new Uint8Array(4);
      new DataView(bytes.buffer).setUint32(0, number);
      const address = formatIp(bytes);
      if (!this.#byAddress.has(address)) return address;
    }
  }
}

/** Whether an address is of the range that stands for names. */
export function isMappedAddress(text: string): boolean {
  const bytes = parseIp(text);
  return bytes?.length === 4 && bytes[0] === 198 &&
    (bytes[1] === 18 || bytes[1] === 19);
}
