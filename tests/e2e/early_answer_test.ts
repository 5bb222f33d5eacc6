/**
 * Answers that come before the upload has ended, which must arrive all the same;
 * and answers that break off, which must not look whole.
 *
 * @module
 */
import assert from "node:assert/strict";
import net from "node:net";
import {
  type CommandResult,
  isInstalled,
  run,
  startScript,
  type Target,
} from "../support/client_programs.ts";
import {
  type NodeProcess,
  ProcessNetwork,
} from "../support/process_network.ts";
import { TemporaryDirectory } from "../support/temporary_directory.ts";

/** Uploads through each proxy, to each server, for each status; more where nothing else runs. */
const UPLOADS = Deno.env.get("ALONE") === undefined ? 2 : 6;
const UPLOAD_BYTES = 2_000_000;

/** Longest time until a session that has lost its service is given up, and some more, s. */
const LOST_S = "100";

/** Two proxies, in two versions of HTTP. */
const CLIENTS = 4;
/** Times that a socket takes more again until a download is well under way: 4 MB. */
const MANY_DRAINS = 3;

const NODE_SERVER = `
require("http").createServer((request, response) => {
  response.writeHead(request.url === "/401" ? 401 : 413, { Connection: "close" });
  response.end("too much");
}).listen(0, "127.0.0.1", function () {
  process.stderr.write("listening on " + this.address().port + "\\n");
});`;

const PYTHON_SERVER = `
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Refusing(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_POST(self):
        self.send_response(401 if self.path == "/401" else 413)
        self.send_header("Content-Length", "8")
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(b"too much")
        self.close_connection = True
    def log_message(self, *args):
        pass
server = HTTPServer(("127.0.0.1", 0), Refusing)
sys.stderr.write("listening on %d\\n" % server.server_port)
sys.stderr.flush()
server.serve_forever()`;

/** A server of this process, by bare sockets. */
interface SocketServer extends Target {
  /** Resolves when as many clients as there are take what it sends. */
  readonly served: Promise<void>;
}

async function startSocket(
  onConnection: (socket: net.Socket) => void,
): Promise<SocketServer> {
  const sockets = new Set<net.Socket>();
  const served = Promise.withResolvers<void>();
  let busy = 0;
  const server = net.createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    let drained = 0;
    socket.on("drain", () => {
      if (++drained === MANY_DRAINS && ++busy === CLIENTS) served.resolve();
    });
    onConnection(socket);
  });
  await new Promise<void>((resolve) =>
    server.listen(0, "127.0.0.1", () => resolve())
  );
  const { port } = server.address() as net.AddressInfo;
  return {
    target: `127.0.0.1:${port}`,
    served: served.promise,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Answers as soon as the head of a request is there, and closes at once. */
function answerAndClose(socket: net.Socket): void {
  socket.once("data", (head) => {
    const status = head.includes("/401") ? "401 Unauthorized" : "413 Too Large";
    socket.write(
      `HTTP/1.1 ${status}\r\nContent-Length: 8\r\nConnection: close\r\n\r\ntoo much`,
      () => socket.destroy(),
    );
  });
}

/** Curl, through each proxy of a node. */
function proxiesOf({ socks, http }: NodeProcess): string[] {
  return [`socks5h://${socks}`, `http://${http}`];
}

async function upload(
  file: string,
  proxy: string,
  url: string,
): Promise<CommandResult> {
  return await run("curl", [
    ...["-q", "-sS", "--max-time", "40", "--proxy", proxy],
    // Not waiting for a word of the server: the upload is under way.
    ...[
      "-H",
      "Expect:",
      "-w",
      "|%{http_code}",
      "--data-binary",
      `@${file}`,
      url,
    ],
  ]);
}

/** An answer whose end is that of its connection, which breaks off half-way. */
function breakOff(socket: net.Socket): void {
  socket.once("data", () => {
    socket.write(
      `HTTP/1.0 200 OK\r\n\r\n${"x".repeat(300_000)}`,
      () => socket.resetAndDestroy(),
    );
  });
}

/** The same, which goes on for as long as it is read. */
function pourForEver(socket: net.Socket): void {
  const piece = new Uint8Array(64 * 1024).fill(0x78);
  const pour = () => {
    while (!socket.destroyed && socket.write(piece));
  };
  socket.on("drain", pour);
  socket.once("data", () => {
    socket.write("HTTP/1.0 200 OK\r\n\r\n");
    pour();
  });
}

/** A network of processes, and a proxy of it. */
interface World {
  readonly network: ProcessNetwork;
  readonly proxy: NodeProcess;
}

/** Step: servers that answer at once, in each language there is. */
async function answerEarly({ network, proxy }: World): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const servers = new Map<number, Target>([
    [8001, stack.use(await startSocket(answerAndClose))],
  ]);
  if (isInstalled("node")) {
    servers.set(
      8002,
      stack.use(await startScript("node", ["-e", NODE_SERVER])),
    );
  }
  if (isInstalled("python3")) {
    servers.set(
      8003,
      stack.use(await startScript("python3", ["-c", PYTHON_SERVER])),
    );
  }
  const home = stack.use(await TemporaryDirectory.create());
  const file = home.pathOf("upload");
  await Deno.writeFile(file, new Uint8Array(UPLOAD_BYTES).fill(0x61));
  const service = await network.start("serve", "answering", [
    ...[...servers].map(([port, { target }]) => `${port}=${target}`),
  ]);
  const wrong: string[] = [];
  for (const port of servers.keys()) {
    for (const through of proxiesOf(proxy)) {
      for (let count = 0; count < UPLOADS; count++) {
        for (const status of [413, 401]) {
          const url = `http://${service.host}:${port}/${status}`;
          const { code, text, stderr } = await upload(file, through, url);
          if (code === 0 && text === `too much|${status}`) continue;
          wrong.push(`${through} ${port} ${status}: ${code} ${text} ${stderr}`);
        }
      }
    }
  }
  assert.deepEqual(wrong, []);
}

/** Step: a server that breaks off, and a service that ends under a download. */
async function breakAnswersOff({ network, proxy }: World): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const breaking = stack.use(await startSocket(breakOff));
  const pouring = stack.use(await startSocket(pourForEver));
  const service = await network.start("serve", "breaking", [
    ...["--drain=0", `80=${breaking.target}`, `81=${pouring.target}`],
  ]);
  const fetches = (port: number) =>
    proxiesOf(proxy).flatMap((through) =>
      ["--http1.0", "--http1.1"].map((version) =>
        run("curl", [
          ...["-q", "-sS", "--max-time", LOST_S, "--proxy", through, version],
          ...["-o", "/dev/null", "-w", "%{size_download}"],
          `http://${service.host}:${port}/`,
        ], { ms: 1000 * Number(LOST_S) })
      )
    );
  for (const { code, text, stderr } of await Promise.all(fetches(80))) {
    assert.ok(code === 56 || code === 18, `${code}: ${text} ${stderr}`);
  }
  const running = fetches(81);
  await pouring.served;
  await service.end();
  for (const { code, text, stderr } of await Promise.all(running)) {
    assert.ok(code === 56 || code === 18, `${code}: ${text} ${stderr}`);
    assert.ok(Number(text) > 0, "it was cut in the middle");
  }
}

Deno.test({
  name: "answers that come early or break off, through each proxy",
  ignore: !isInstalled("curl"),
  async fn(t) {
    await using network = await ProcessNetwork.start({ relays: 4 });
    const world = { network, proxy: await network.proxy("proxy") };
    await t.step(
      "an answer that comes before the upload ends arrives",
      () => answerEarly(world),
    );
    await t.step(
      "an answer that breaks off does not look whole",
      () => breakAnswersOff(world),
    );
  },
});
