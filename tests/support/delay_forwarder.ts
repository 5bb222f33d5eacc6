/**
 * A process that holds up UDP packets on loopback: each link between two nodes
 * gets a delay, and if asked for a loss, as if they were far apart.
 *
 *     delay_forwarder.ts DELAY_MS LOSS_PERCENT PORT…
 *
 *     sender ──▶ front ──▶ [ delay ] ──▶ back of that sender ──▶ PORT
 *            ◀──       ◀── [ delay ] ◀──                     ◀──
 *
 * It prints the ports of its fronts, one for each PORT, as one line of JSON, and
 * ends when its standard input does.
 *
 * It must not be what a benchmark measures, so it calls the C library itself: one
 * loop without promises, and packets that the kernel holds together (a burst of
 * one connection) are taken and passed on together. Linux on 64 bits only.
 *
 * @see {@link https://man7.org/linux/man-pages/man7/udp.7.html | udp(7)}, UDP_GRO and UDP_SEGMENT
 * @module
 */

const [delayText = "25", lossText = "0", ...portTexts] = Deno.args;
const DELAY_MS = Number(delayText);
const LOSS = Number(lossText) / 100;

/** Packets on their way, bytes: more than all links together hold. */
const ARENA_BYTES = 256 * 1024 * 1024;
/** Most that one call receives. */
const BURST_BYTES = 64 * 1024;
/** Bursts taken from one socket before the others get their turn. */
const TURN_BURSTS = 16;
/** Packets that are due so soon go out as well, ms: fewer wake-ups. */
const EARLY_MS = 0.05;

const AF_INET = 2;
const SOCK_DGRAM_NONBLOCK = 2 | 0o4000;
const SOL_SOCKET = 1;
const SO_RCVBUF = 8;
const SO_RCVBUFFORCE = 33;
const SOL_UDP = 17;
const UDP_SEGMENT = 103;
const UDP_GRO = 104;
const POLLIN = 1;
const ADDRESS_BYTES = 16;
const POLL_BYTES = 8;

const { symbols: libc } = Deno.dlopen("libc.so.6", {
  socket: { parameters: ["i32", "i32", "i32"], result: "i32" },
  bind: { parameters: ["i32", "buffer", "u32"], result: "i32" },
  getsockname: { parameters: ["i32", "buffer", "buffer"], result: "i32" },
  setsockopt: {
    parameters: ["i32", "i32", "i32", "buffer", "u32"],
    result: "i32",
  },
  ppoll: {
    parameters: ["buffer", "u64", "buffer", "pointer"],
    result: "i32",
  },
  recvmsg: { parameters: ["i32", "buffer", "i32"], result: "i64" },
  sendmsg: { parameters: ["i32", "buffer", "i32"], result: "i64" },
});

/** One end of a line: what comes in goes out at `onward`. */
interface Socket {
  readonly fd: number;
  /** Where a packet from this sender goes. */
  route(sender: Uint8Array): Route;
}

interface Route {
  readonly fd: number;
  readonly address: Uint8Array<ArrayBuffer>;
}

/** A burst on its way. */
interface Burst {
  readonly dueMs: number;
  readonly route: Route;
  readonly start: number;
  readonly length: number;
  /** Bytes of each packet in it but the last; 0: it is one packet. */
  readonly segmentBytes: number;
}

const sockets: Socket[] = [];

/** `struct sockaddr_in` of a port on loopback. */
function loopback(port: number): Uint8Array<ArrayBuffer> {
  const address = new Uint8Array(ADDRESS_BYTES);
  address.set([AF_INET, 0, port >> 8, port & 0xff, 127, 0, 0, 1]);
  return address;
}

function int(value: number): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Int32Array.of(value).buffer);
}

function open(): number {
  const fd = libc.socket(AF_INET, SOCK_DGRAM_NONBLOCK, 0);
  if (fd < 0 || libc.bind(fd, loopback(0), ADDRESS_BYTES) < 0) {
    throw new Error("Cannot open a socket");
  }
  const room = int(8 * 1024 * 1024);
  // The first takes privileges; without them the system's limit applies.
  if (libc.setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, room, 4) < 0) {
    libc.setsockopt(fd, SOL_SOCKET, SO_RCVBUF, room, 4);
  }
  // Loss is drawn for each packet, so they must come one by one.
  if (LOSS === 0) libc.setsockopt(fd, SOL_UDP, UDP_GRO, int(1), 4);
  return fd;
}

function portOf(fd: number): number {
  const address = new Uint8Array(ADDRESS_BYTES);
  libc.getsockname(fd, address, int(ADDRESS_BYTES));
  return ((address[2] ?? 0) << 8) | (address[3] ?? 0);
}

/** @returns The port to send to instead of `port`. */
function openFront(port: number): number {
  const front = open();
  const target = loopback(port);
  const backs = new Map<number, Route>();
  sockets.push({
    fd: front,
    route(sender) {
      const key = ((sender[2] ?? 0) << 8) | (sender[3] ?? 0);
      let route = backs.get(key);
      if (route === undefined) {
        const fd = open();
        route = { fd, address: target };
        backs.set(key, route);
        const home = { fd: front, address: sender.slice() };
        sockets.push({ fd, route: () => home });
      }
      return route;
    },
  });
  return portOf(front);
}

const arena = new Uint8Array(ARENA_BYTES);

/** `struct msghdr` with one buffer, one address and room for one option. */
class Message {
  readonly header: Uint8Array<ArrayBuffer> = new Uint8Array(56);
  readonly address: Uint8Array<ArrayBuffer> = new Uint8Array(ADDRESS_BYTES);
  readonly option: Uint8Array<ArrayBuffer> = new Uint8Array(24);
  readonly #arena = pointerOf(arena);
  readonly #head = new DataView(this.header.buffer);
  readonly #vector = new DataView(new ArrayBuffer(16));
  readonly #option = new DataView(this.option.buffer);

  constructor() {
    this.#head.setBigUint64(0, pointerOf(this.address), true);
    this.#head.setUint32(8, ADDRESS_BYTES, true);
    const vector = new Uint8Array(this.#vector.buffer);
    this.#head.setBigUint64(16, pointerOf(vector), true);
    this.#head.setBigUint64(24, 1n, true);
    this.#head.setBigUint64(32, pointerOf(this.option), true);
  }

  set(start: number, length: number, optionBytes: number): void {
    this.#vector.setBigUint64(0, this.#arena + BigInt(start), true);
    this.#vector.setBigUint64(8, BigInt(length), true);
    this.#head.setUint32(8, ADDRESS_BYTES, true);
    this.#head.setBigUint64(40, BigInt(optionBytes), true);
  }

  /** After receiving: bytes of each packet, 0 if there is but one. */
  get segmentBytes(): number {
    if (this.#head.getUint32(40, true) < 20) return 0;
    if (this.#option.getInt32(12, true) !== UDP_GRO) return 0;
    return this.#option.getInt32(16, true);
  }

  /** Before sending: bytes of each packet. */
  set segmentBytes(bytes: number) {
    this.#option.setBigUint64(0, 18n, true);
    this.#option.setInt32(8, SOL_UDP, true);
    this.#option.setInt32(12, UDP_SEGMENT, true);
    this.#option.setUint16(16, bytes, true);
  }
}

function pointerOf(bytes: Uint8Array<ArrayBuffer>): bigint {
  return Deno.UnsafePointer.value(Deno.UnsafePointer.of(bytes));
}

const incoming = new Message();
const outgoing = new Message();
const bursts: Burst[] = [];
/** The first burst that has not gone out; those before it are dropped in bulk. */
let first = 0;
let head = 0;
const counts = { packets: 0, bursts: 0, bytes: 0, lost: 0, failed: 0 };

function receive(socket: Socket, nowMs: number): void {
  for (let turn = 0; turn < TURN_BURSTS; turn++) {
    if (head + BURST_BYTES > ARENA_BYTES) head = 0;
    const oldest = bursts[first];
    const isFull = oldest !== undefined && head <= oldest.start &&
      head + BURST_BYTES > oldest.start;
    if (isFull) throw new Error("Too much is on its way");
    incoming.set(head, BURST_BYTES, 24);
    const length = Number(libc.recvmsg(socket.fd, incoming.header, 0));
    if (length < 0) return;
    counts.bursts++;
    counts.bytes += length;
    const { segmentBytes } = incoming;
    counts.packets += segmentBytes === 0 ? 1 : Math.ceil(length / segmentBytes);
    if (LOSS > 0 && Math.random() < LOSS) {
      counts.lost++;
      continue;
    }
    const route = socket.route(incoming.address);
    const start = head;
    head += length;
    bursts.push({
      dueMs: nowMs + DELAY_MS,
      route,
      start,
      length,
      segmentBytes,
    });
  }
}

function sendDue(nowMs: number): void {
  for (;;) {
    const burst = bursts[first];
    if (burst === undefined || burst.dueMs > nowMs + EARLY_MS) break;
    first++;
    const { route, start, length, segmentBytes } = burst;
    const isMany = segmentBytes > 0 && length > segmentBytes;
    outgoing.address.set(route.address);
    outgoing.set(start, length, isMany ? 24 : 0);
    if (isMany) outgoing.segmentBytes = segmentBytes;
    if (Number(libc.sendmsg(route.fd, outgoing.header, 0)) < 0) counts.failed++;
  }
  if (first > 4096) {
    bursts.splice(0, first);
    first = 0;
  }
}

function print(value: unknown): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify(value)}\n`));
}

function run(): void {
  let polled = new Uint8Array();
  let view = new DataView(polled.buffer);
  const timeout = new BigInt64Array(2);
  const input = new Uint8Array(256);
  for (;;) {
    if (polled.length !== (sockets.length + 1) * POLL_BYTES) {
      polled = new Uint8Array((sockets.length + 1) * POLL_BYTES);
      view = new DataView(polled.buffer);
      view.setInt16(4, POLLIN, true); // standard input: descriptor 0
      for (const [index, { fd }] of sockets.entries()) {
        view.setInt32((index + 1) * POLL_BYTES, fd, true);
        view.setInt16((index + 1) * POLL_BYTES + 4, POLLIN, true);
      }
    }
    const due = bursts[first]?.dueMs ?? performance.now() + 1000;
    const waitMs = Math.max(0, due - EARLY_MS - performance.now());
    timeout[0] = BigInt(Math.floor(waitMs / 1000));
    timeout[1] = BigInt(Math.floor((waitMs % 1000) * 1e6));
    libc.ppoll(
      polled,
      BigInt(sockets.length + 1),
      new Uint8Array(timeout.buffer),
      null,
    );
    const nowMs = performance.now();
    sendDue(nowMs);
    if (view.getInt16(6, true) !== 0) {
      if (Deno.stdin.readSync(input) === null) return;
      print(counts);
    }
    const count = view.byteLength / POLL_BYTES - 1;
    for (let index = 0; index < count; index++) {
      if (view.getInt16((index + 1) * POLL_BYTES + 6, true) === 0) continue;
      const socket = sockets[index];
      if (socket !== undefined) receive(socket, nowMs);
      sendDue(performance.now());
    }
  }
}

print(portTexts.map((text) => openFront(Number(text))));
run();
