/**
 * What the program that manages services is told of this process: that it is ready,
 * that it reads its configuration again, that it stops. As systemd takes it:
 *
 *     process ── READY=1 ── RELOADING=1 ── READY=1 ── STOPPING=1 ──▶ datagram socket
 *
 * The socket's name comes as a flag and not from the environment, which the program
 * may not read.
 *
 * @see {@link https://www.freedesktop.org/software/systemd/man/sd_notify.html | sd_notify(3)}
 * @see protocol §9.2 "Start and stop"
 * @module
 */
import { type Log, thrown } from "../../log/log.ts";
import { systemRandom } from "../../machine/system_random.ts";

/** How a process is. */
export type ManagedState = "ready" | "reloading" | "stopping";

/** What each is called, and what an operator reads in `systemctl status`. */
const MESSAGES: Readonly<Record<ManagedState, string>> = {
  ready: "READY=1\nSTATUS=Ready",
  reloading: "RELOADING=1\nSTATUS=Reading the configuration again",
  stopping: "STOPPING=1\nSTATUS=Letting transfers end",
};

/** Bytes of chance in the name that we send from. */
const NAME_BYTES = 8;

/** The manager of this process, or none. */
export class ServiceManager implements AsyncDisposable {
  readonly #path: string | undefined;
  readonly #log: Log;
  #socket: Deno.DatagramConn | undefined;
  #isTold = false;
  /** What was said before goes first; never rejects. */
  #sent: Promise<void> = Promise.resolve();

  /**
   * @param socket Its socket: a path, or `@` and an abstract name, as in
   * `NOTIFY_SOCKET`. Where it is empty or missing there is no manager.
   */
  constructor(socket: string | undefined, log: Log) {
    this.#path = socket === "" ? undefined : socket?.replace(/^@/, "\0");
    this.#log = log;
  }

  /** Say how the process is. Where that fails the log says so, once. */
  tell(state: ManagedState): void {
    const path = this.#path;
    if (path === undefined) return;
    this.#sent = this.#sent.then(() => this.#send(path, MESSAGES[state]));
  }

  /** Wait until all is said. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#sent;
    this.#socket?.close();
    this.#socket = undefined;
  }

  async #send(path: string, text: string): Promise<void> {
    try {
      this.#socket ??= Deno.listenDatagram({
        transport: "unixpacket",
        // An abstract name: no file is made, and none is left behind.
        path: `\0anonnet-${systemRandom.bytes(NAME_BYTES).toHex()}`,
      });
      await this.#socket.send(new TextEncoder().encode(text), {
        transport: "unixpacket",
        path,
      });
    } catch (error) {
      if (this.#isTold) return;
      this.#isTold = true;
      this.#log.warning(
        "Cannot tell the service manager how this process is: compare --notify " +
          "with NOTIFY_SOCKET",
        { error: thrown(error) },
      );
    }
  }
}
