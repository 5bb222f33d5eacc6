/**
 * Commands of the control port: bytes in, values out.
 *
 *     GETINFO version                CR? LF      a keyword, and the rest of the line
 *     +LOADCONF                      CR? LF      "+": a block follows, up to a "."; no
 *     SocksPort 9050                 CR? LF      command that has one is served, so it
 *     .                              CR? LF      is read to its end and let go
 *
 * A line of HTTP is told apart: a page in a browser can send one here, with commands in
 * what follows.
 *
 * @see {@link https://spec.torproject.org/control-spec/message-format.html | control-spec, 2.2}
 * @module
 */
import { type Bytes, concat } from "../base/bytes.ts";
import { byteText } from "./byte_text.ts";

/** One command. */
export interface TorCommand {
  /** As it was written; letters of either case mean the same. */
  readonly keyword: string;
  /** What follows the keyword, without the white space around it. */
  readonly rest: string;
  /** Whether a block came with it. */
  readonly hasBlock: boolean;
}

/** What was read: a command, or why no more is read. */
export type ReadCommand = TorCommand | "http" | "too_long";

/** Longest line. An `ADD_ONION` with 64 clients has 6 KiB. */
export const MAX_COMMAND_BYTES = 64 * 1024;
/** Longest block: it is not kept, and must end some day. */
export const MAX_BLOCK_BYTES = 1024 * 1024;

const LINE_FEED = 0x0a;
const HTTP =
  /^(GET|POST|HEAD|PUT|DELETE|OPTIONS|CONNECT|PATCH|TRACE) .* ?HTTP\//i;
/** Where a request line is cut before its end, or is of HTTP/0.9. */
const HTTP_START = /^(GET|POST|HEAD|PUT|OPTIONS|CONNECT) (\/|https?:)/i;

/** Reads the commands of one connection. */
export class CommandReader {
  #waiting: Bytes = new Uint8Array(0);
  /** Where what was not read yet begins: what is in front goes when more comes, and not line by line. */
  #start = 0;
  /** Up to where it was searched for the end of a line. */
  #searched = 0;
  /** The command whose block is being read, and the bytes of that. */
  #block: { readonly command: TorCommand; bytes: number } | undefined;
  #end: "http" | "too_long" | undefined;

  /** Bytes that were not read yet. */
  get waitingBytes(): number {
    return this.#waiting.length - this.#start;
  }

  /** More has come. */
  push(bytes: Uint8Array): void {
    if (this.#end !== undefined) return;
    this.#waiting = concat(this.#waiting.subarray(this.#start), bytes);
    this.#searched -= this.#start;
    this.#start = 0;
  }

  /** The next command, or `undefined` while there is only the beginning of one. */
  next(): ReadCommand | undefined {
    while (this.#end === undefined) {
      const line = this.#nextLine();
      if (line === undefined) return this.#end;
      const block = this.#block;
      if (block === undefined) {
        if (isHttp(line)) return this.#endWith("http");
        const command = parseCommand(line);
        if (!command.hasBlock) return command;
        this.#block = { command, bytes: 0 };
      } else if (line === ".") {
        this.#block = undefined;
        return block.command;
      } else {
        block.bytes += line.length + 1;
        if (block.bytes > MAX_BLOCK_BYTES) return this.#endWith("too_long");
      }
    }
    return this.#end;
  }

  #nextLine(): string | undefined {
    const end = this.#waiting.indexOf(LINE_FEED, this.#searched);
    const length = (end < 0 ? this.#waiting.length : end) - this.#start;
    if (length > MAX_COMMAND_BYTES) {
      this.#endWith("too_long");
      return undefined;
    }
    if (end < 0) {
      this.#searched = this.#waiting.length;
      return undefined;
    }
    const line = byteText(this.#waiting.subarray(this.#start, end));
    this.#start = end + 1;
    this.#searched = this.#start;
    return line.endsWith("\r") ? line.slice(0, -1) : line;
  }

  #endWith(end: "http" | "too_long"): "http" | "too_long" {
    this.#waiting = new Uint8Array(0);
    this.#start = 0;
    return this.#end = end;
  }
}

function isHttp(line: string): boolean {
  return HTTP.test(line) || HTTP_START.test(line);
}

function parseCommand(line: string): TorCommand {
  const hasBlock = line.startsWith("+");
  const text = hasBlock ? line.slice(1) : line;
  const [keyword = ""] = /^[^ \t]*/.exec(text) ?? [];
  const rest = text.slice(keyword.length).trim();
  return { keyword, rest, hasBlock };
}
