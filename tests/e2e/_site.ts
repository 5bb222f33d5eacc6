/**
 * A site with what real clients ask for: pages, large files, uploads, WebSockets
 * and a git repository.
 *
 * @module
 */
import { command } from "../support/client_programs.ts";

/** Bytes that show where they belong: the same everywhere, and nowhere repeated. */
export function testBytes(length: number): Uint8Array<ArrayBuffer> {
  const words = new Uint32Array(Math.ceil(length / 4));
  for (let i = 0, word = 1; i < words.length; i++) {
    word = Math.imul(word, 1_664_525) + 1_013_904_223;
    words[i] = word ^ i;
  }
  return new Uint8Array(words.buffer, 0, length);
}

/** What `/big` gives. */
export const BIG: Uint8Array<ArrayBuffer> = testBytes(3_000_000);

/** Whether sizes are those of a long task (`deno task long:clients`). */
export const IS_LONG: boolean = Deno.env.get("CLIENTS") === "long";

/** How much of it `/part` gives. */
export const PART_BYTES: number = (IS_LONG ? 1024 : 128) * 1024;

/** A page that fetches, talks over a WebSocket, and reports what came of it. */
const PAGE = `<!doctype html><title>A page</title><script type="module">
  const hello = await (await fetch("/hello")).text();
  const socket = new WebSocket("ws://" + location.host + "/echo");
  const echo = await new Promise((resolve, reject) => {
    socket.onopen = () => socket.send("from a browser");
    socket.onmessage = (event) => resolve(event.data);
    socket.onerror = () => reject(new Error("WebSocket"));
  });
  const { length } = new Uint8Array(await (await fetch("/big")).arrayBuffer());
  await fetch("/report", {
    method: "POST",
    body: JSON.stringify({ title: document.title, hello, echo, length }),
  });
</script>`;

/** A running site. */
export class Site implements AsyncDisposable {
  readonly #server: Deno.HttpServer<Deno.NetAddr>;
  readonly #repositories: string;
  readonly #report = Promise.withResolvers<unknown>();

  /** @param repositories Folder of bare git repositories, at `/git/`. */
  constructor(repositories: string) {
    this.#repositories = repositories;
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      (request) => this.#serve(request),
    );
  }

  /** As `anonnet serve` takes it. */
  get target(): string {
    return `127.0.0.1:${this.#server.addr.port}`;
  }

  /** What the page at `/page` reports. */
  get report(): Promise<unknown> {
    return this.#report.promise;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }

  async #serve(request: Request): Promise<Response> {
    const { pathname, host } = new URL(request.url);
    if (pathname.startsWith("/git/")) {
      return await this.#git(request, pathname.slice("/git".length));
    }
    switch (pathname) {
      case "/hello":
        return new Response(`hello from ${host}`);
      case "/big":
        return new Response(BIG);
      case "/part":
        return new Response(BIG.subarray(0, PART_BYTES));
      case "/size":
        return new Response(String((await request.bytes()).length));
      case "/page":
        return new Response(PAGE, { headers: { "content-type": "text/html" } });
      case "/report":
        this.#report.resolve(await request.json());
        return new Response();
      case "/echo": {
        const { socket, response } = Deno.upgradeWebSocket(request);
        socket.onmessage = ({ data }) => socket.send(`echo ${data}`);
        return response;
      }
      default:
        return new Response("nothing here", { status: 404 });
    }
  }

  /** What git's own program makes of a request (RFC 3875). */
  async #git(request: Request, path: string): Promise<Response> {
    const header = (name: string) => request.headers.get(name) ?? "";
    const child = command("git", ["http-backend"], {
      env: {
        GIT_PROJECT_ROOT: this.#repositories,
        GIT_HTTP_EXPORT_ALL: "1",
        PATH_INFO: path,
        QUERY_STRING: new URL(request.url).search.slice(1),
        REQUEST_METHOD: request.method,
        REMOTE_USER: "visitor",
        REMOTE_ADDR: "127.0.0.1",
        CONTENT_TYPE: header("content-type"),
        HTTP_CONTENT_ENCODING: header("content-encoding"),
        HTTP_GIT_PROTOCOL: header("git-protocol"),
      },
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    const writer = child.stdin.getWriter();
    await writer.write(await request.bytes());
    await writer.close();
    const { stdout } = await child.output();
    const end = findBlankLine(stdout);
    const head = new TextDecoder().decode(stdout.subarray(0, end));
    const headers = new Headers();
    for (const line of head.split("\r\n")) {
      const [name = "", value = ""] = line.split(/: */, 2);
      headers.set(name, value);
    }
    const status = Number(headers.get("status")?.slice(0, 3) ?? 200);
    headers.delete("status");
    return new Response(stdout.subarray(end + 4), { status, headers });
  }
}

function findBlankLine(bytes: Uint8Array): number {
  for (let i = 0; i + 4 <= bytes.length; i++) {
    if (
      bytes[i] === 13 && bytes[i + 1] === 10 && bytes[i + 2] === 13 &&
      bytes[i + 3] === 10
    ) return i;
  }
  throw new Error("git http-backend gave no answer");
}
