/**
 * A process that runs with `--inspect`, and is profiled for a while.
 *
 * @see {@link https://chromedevtools.github.io/devtools-protocol/v8/Profiler/ | Profiler}
 * @module
 */

const INTERVAL_US = 500;

/** One process under the inspector. */
export class Inspected {
  readonly #name: string;
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (result: unknown) => void>();
  #sent = 0;

  private constructor(name: string, socket: WebSocket) {
    this.#name = name;
    this.#socket = socket;
    socket.onmessage = ({ data }) => {
      const { id, result } = JSON.parse(data);
      this.#waiting.get(id)?.(result);
      this.#waiting.delete(id);
    };
  }

  /** Connect to the inspector at a port of this machine. */
  static async connect(name: string, port: number): Promise<Inspected> {
    const [target] = await (await fetch(`http://127.0.0.1:${port}/json`))
      .json();
    const socket = new WebSocket(target.webSocketDebuggerUrl);
    await new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.onerror = reject;
    });
    const inspected = new Inspected(name, socket);
    await inspected.#ask("Profiler.enable");
    await inspected.#ask("Profiler.setSamplingInterval", {
      interval: INTERVAL_US,
    });
    return inspected;
  }

  /** Begin a profile. */
  async start(): Promise<void> {
    await this.#ask("Profiler.start");
  }

  /** End it, and write `NAME-PART.cpuprofile`. */
  async stop(folder: string, part: string): Promise<void> {
    const { profile } = await this.#ask("Profiler.stop") as {
      profile: unknown;
    };
    await Deno.mkdir(folder, { recursive: true });
    await Deno.writeTextFile(
      `${folder}/${this.#name}-${part}.cpuprofile`,
      JSON.stringify(profile),
    );
  }

  /** Let go of the process. */
  close(): void {
    this.#socket.close();
  }

  #ask(method: string, params: object = {}): Promise<unknown> {
    const id = ++this.#sent;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.#socket.send(JSON.stringify({ id, method, params }));
    });
  }
}
