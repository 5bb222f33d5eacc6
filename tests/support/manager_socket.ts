/**
 * The socket at which a service manager is told how its processes are.
 *
 * @module
 */

/** A socket, and what comes to it. */
export interface ManagerSocket extends Disposable {
  /** As `NOTIFY_SOCKET` has it. */
  readonly name: string;
  /** The next message. */
  next(): Promise<string>;
}

/** Open one, at a path or, after `@`, at an abstract name. */
export function managerSocket(name: string): ManagerSocket {
  const socket = Deno.listenDatagram({
    transport: "unixpacket",
    path: name.replace(/^@/, "\0"),
  });
  return {
    name,
    async next() {
      const [bytes] = await socket.receive();
      return new TextDecoder().decode(bytes);
    },
    [Symbol.dispose]: () => socket.close(),
  };
}
