import { UnreachableError } from "../../lib/base/errors.ts";
import type {
  Gateway,
  GatewayStream,
  GatewayTarget,
} from "../../lib/http/gateway.ts";

/** A gateway whose services are TCP servers of this machine. */
export class LoopbackGateway implements Gateway {
  readonly asked: GatewayTarget[] = [];
  /** Virtual port to real port. */
  readonly #ports: ReadonlyMap<number, number>;

  constructor(ports: ReadonlyMap<number, number>) {
    this.#ports = ports;
  }

  async connect(target: GatewayTarget): Promise<GatewayStream> {
    this.asked.push(target);
    const port = this.#ports.get(target.port);
    if (port === undefined) {
      throw new UnreachableError("service.no_port", "Nothing at this port");
    }
    try {
      return new TcpStream(
        await Deno.connect({ hostname: "127.0.0.1", port }),
      );
    } catch (cause) {
      throw new UnreachableError("service.refused", "Refused", { cause });
    }
  }
}

class TcpStream implements GatewayStream {
  readonly opened = Promise.resolve();
  readonly #conn: Deno.TcpConn;
  readonly #buffer = new Uint8Array(64 * 1024);
  #isClosed = false;
  #ends = 0;

  constructor(conn: Deno.TcpConn) {
    this.#conn = conn;
  }

  async read(): Promise<Uint8Array | undefined> {
    const count = await this.#guard(() => this.#conn.read(this.#buffer));
    if (count !== null) return this.#buffer.subarray(0, count);
    this.#onEnd();
    return undefined;
  }

  async write(bytes: Uint8Array): Promise<void> {
    for (let sent = 0; sent < bytes.length;) {
      sent += await this.#guard(() => this.#conn.write(bytes.subarray(sent)));
    }
  }

  async closeWrite(): Promise<void> {
    await this.#guard(() => this.#conn.closeWrite());
    this.#onEnd();
  }

  leave(): void {
    this.abort();
  }

  abort(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#conn.close();
  }

  #onEnd(): void {
    if (++this.#ends === 2) this.abort();
  }

  async #guard<T>(operation: () => Promise<T>): Promise<T> {
    try {
      if (!this.#isClosed) return await operation();
    } catch (cause) {
      throw new UnreachableError("service.unreachable", "Gone", { cause });
    }
    throw new UnreachableError("service.unreachable", "The stream is over");
  }
}
