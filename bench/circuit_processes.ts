/**
 * Processes beside the relays: bare QUIC pipes, which do nothing but carry bytes,
 * and the far ends of joined circuits.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { LineProcess } from "../tests/support/line_process.ts";
import type { EndOrder } from "./end_process.ts";

const END = fileURLToPath(new URL("./end_process.ts", import.meta.url));
const PIPE = fileURLToPath(new URL("./bare_pipe.ts", import.meta.url));

/** A bare pipe: carries each stream on to `next`, or takes and gives bytes itself. */
export class PipeProcess implements AsyncDisposable {
  readonly process: LineProcess;
  readonly port: number;

  private constructor(process: LineProcess, port: number) {
    this.process = process;
    this.port = port;
  }

  static async start(next: number | "end"): Promise<PipeProcess> {
    const process = new LineProcess(PIPE, [String(next)]);
    return new PipeProcess(process, await process.line<number>());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.process[Symbol.asyncDispose]();
  }
}

/** The far end of circuits, which answers their data. */
export class EndProcess implements AsyncDisposable {
  readonly #process: LineProcess;

  private constructor(process: LineProcess) {
    this.#process = process;
  }

  static async start(): Promise<EndProcess> {
    const process = new LineProcess(END, []);
    await process.line();
    return new EndProcess(process);
  }

  /** Meet the client that waits with this cookie, and answer it. */
  async meet(order: EndOrder): Promise<void> {
    await this.#process.ask(JSON.stringify(order));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#process[Symbol.asyncDispose]();
  }
}
