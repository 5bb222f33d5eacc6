/**
 * Bare QUIC pipes as processes, which do nothing but carry bytes.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { LineProcess } from "../tests/support/line_process.ts";

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
