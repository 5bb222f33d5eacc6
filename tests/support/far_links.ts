/**
 * Links of processes that are far apart: a process of its own holds up their
 * packets, and loses some.
 *
 * @module
 */
import { fileURLToPath } from "node:url";

const FORWARDER = fileURLToPath(
  new URL("./delay_forwarder.ts", import.meta.url),
);

/** Whether there can be any here: packets are held up by calls of Linux. */
export const CAN_BE_FAR = Deno.build.os === "linux";

/** How far apart. */
export interface FarLinkOptions {
  /** One way, ms. */
  readonly delayMs: number;
  /** Packets lost, percent. Default 0. */
  readonly lossPercent?: number;
  /** UDP ports on loopback of those who shall be far. */
  readonly ports: readonly number[];
}

/** The process that holds up packets. */
export class FarLinks implements AsyncDisposable {
  /** Where to send to, for each port. */
  readonly fronts: readonly number[];
  readonly #child: Deno.ChildProcess;
  readonly #output: ReadableStreamDefaultReader<string>;

  private constructor(
    fronts: readonly number[],
    child: Deno.ChildProcess,
    output: ReadableStreamDefaultReader<string>,
  ) {
    this.fronts = fronts;
    this.#child = child;
    this.#output = output;
  }

  static async start(
    { delayMs, lossPercent = 0, ports }: FarLinkOptions,
  ): Promise<FarLinks> {
    const child = new Deno.Command(Deno.execPath(), {
      args: [
        ...["run", "--quiet", "--no-prompt", "--no-config", "--allow-ffi"],
        ...[FORWARDER, String(delayMs), String(lossPercent)],
        ...ports.map(String),
      ],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const output = child.stdout.pipeThrough(new TextDecoderStream())
      .getReader();
    const { value } = await output.read();
    if (value === undefined) {
      const { code } = await child.status;
      throw new Error(`Cannot hold up packets: the process ended with ${code}`);
    }
    return new FarLinks(JSON.parse(value), child, output);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#child.stdin.close();
    await this.#child.status;
    await this.#output.cancel();
  }
}
