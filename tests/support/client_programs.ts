/**
 * Programs of others that tests drive, or stand behind a service: curl, ssh,
 * nginx and the like, with nothing taken from the settings of the user who runs them.
 *
 * @module
 */
import assert from "node:assert/strict";
import { TemporaryDirectory } from "./temporary_directory.ts";

/** Longest time for one command, ms. */
const COMMAND_MS = 60_000;

const PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/** How a command ended, and what it said. */
export interface CommandResult {
  readonly code: number;
  readonly stdout: Uint8Array<ArrayBuffer>;
  /** The same as text. */
  readonly text: string;
  readonly stderr: string;
}

/** Whether a program is there. */
export function isInstalled(program: string): boolean {
  return PATH.split(":").some((folder) => {
    try {
      return Deno.statSync(`${folder}/${program}`).isFile;
    } catch (error) {
      if (error instanceof Deno.errors.NotFound) return false;
      throw error;
    }
  });
}

/** A command in a bare environment. */
export function command(
  program: string,
  args: readonly string[],
  options: Deno.CommandOptions = {},
): Deno.Command {
  const { env, ...rest } = options;
  return new Deno.Command(program, {
    args: [...args],
    clearEnv: true,
    env: { PATH, LC_ALL: "C.UTF-8", ...env },
    stdin: "null",
    ...rest,
  });
}

/** How a command is run. */
export interface RunOptions extends Pick<Deno.CommandOptions, "env" | "cwd"> {
  /** Longest time for it, ms. */
  readonly ms?: number;
}

/** Run a command to its end; one that takes too long is killed. */
export async function run(
  program: string,
  args: readonly string[],
  { ms = COMMAND_MS, ...options }: RunOptions = {},
): Promise<CommandResult> {
  const signal = AbortSignal.timeout(ms);
  const output = command(program, args, { ...options, signal }).output();
  const { code, stdout, stderr } = await output;
  const decoder = new TextDecoder();
  return {
    code,
    stdout,
    text: decoder.decode(stdout),
    stderr: decoder.decode(stderr),
  };
}

/** Run a command that has to end well. */
export async function succeed(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<CommandResult> {
  const result = await run(program, args, options);
  assert.equal(result.code, 0, `${program} fails: ${result.stderr}`);
  return result;
}

/** Something that stands behind a service. */
export interface Target extends AsyncDisposable {
  /** As `anonnet serve` takes it. */
  readonly target: string;
}

/** nginx, serving the files of a folder over a socket that it alone has. */
export function startNginx(folder: string): Promise<Target> {
  return startNginxWith("", `root ${folder};`);
}

/** nginx behind the PROXY protocol: it answers with what that told it. */
export function startNginxAnswering(): Promise<Target> {
  return startNginxWith(
    "proxy_protocol",
    `location / { return 200 "$proxy_protocol_addr $proxy_protocol_port\\n"; }`,
  );
}

/** nginx with a `server` block as an operator writes it, which listens at a place that it names. */
export async function startNginxServer(
  server: string,
  accessLog: string,
): Promise<AsyncDisposable> {
  await using starting = new AsyncDisposableStack();
  const home = starting.use(await TemporaryDirectory.create());
  const config = await writeNginxConfig(
    home,
    `access_log ${accessLog};\n${server}`,
  );
  await succeed("nginx", ["-t", "-q", "-e", "stderr", "-c", config]);
  await runNginx(starting, config);
  return starting.move();
}

/** HAProxy behind the PROXY protocol: it answers with what that told it. */
export function startHaproxy(): Promise<Target> {
  return startHaproxyWith(
    "accept-proxy",
    `http-request return status 200 content-type text/plain lf-string "%[src] %[src_port]"`,
  );
}

/** HAProxy in front of a web server, at `HOST:PORT`. */
export function startHaproxyBefore(server: string): Promise<Target> {
  return startHaproxyWith(
    "",
    `default_backend servers
backend servers
  server one ${server}`,
  );
}

async function startHaproxyWith(
  listening: string,
  answering: string,
): Promise<Target> {
  await using starting = new AsyncDisposableStack();
  const home = starting.use(await TemporaryDirectory.create());
  const socket = home.pathOf("haproxy.sock");
  const config = home.pathOf("haproxy.cfg");
  await Deno.writeTextFile(
    config,
    `global
  log stderr format raw local0
defaults
  mode http
  timeout client 30s
  timeout server 30s
  timeout connect 5s
frontend answers
  bind unix@${socket} ${listening} mode 666
  ${answering}
`,
  );
  const server = spawnServer(starting, "haproxy", ["-W", "-f", config]);
  await server.until("Loading success|New worker .*forked");
  return disposable(`unix:${socket}`, starting.move());
}

async function startNginxWith(
  listening: string,
  answering: string,
): Promise<Target> {
  await using starting = new AsyncDisposableStack();
  const home = starting.use(await TemporaryDirectory.create());
  const socket = home.pathOf("nginx.sock");
  const config = await writeNginxConfig(
    home,
    `access_log off;
  sendfile on;
  server {
    listen unix:${socket} ${listening};
    ${answering}
  }`,
  );
  await runNginx(starting, config);
  return disposable(`unix:${socket}`, starting.move());
}

/** @returns The path of a configuration around what stands in its `http` block. */
async function writeNginxConfig(
  home: TemporaryDirectory,
  http: string,
): Promise<string> {
  const config = home.pathOf("nginx.conf");
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `${name}_temp_path ${home.pathOf(name)};`);
  await Deno.writeTextFile(
    config,
    `daemon off;
pid ${home.pathOf("nginx.pid")};
error_log stderr notice;
worker_processes 1;
${Deno.uid() === 0 ? "user root;" : ""}
events {}
http {
  ${temporary.join(" ")}
  ${http}
}
`,
  );
  return config;
}

async function runNginx(
  stack: AsyncDisposableStack,
  config: string,
): Promise<void> {
  const server = spawnServer(stack, "nginx", ["-e", "stderr", "-c", config]);
  await server.until("start worker process");
}

/** An SSH server that lets one key in. */
export interface SshServer extends Target {
  /** What a client takes: the key, and no question asked. */
  readonly clientOptions: readonly string[];
}

/** sshd, on a free port, with keys of its own. */
export async function startSshd(): Promise<SshServer> {
  await using starting = new AsyncDisposableStack();
  const home = starting.use(await TemporaryDirectory.create());
  const key = async (name: string) => {
    const file = home.pathOf(name);
    await succeed("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", file]);
    return file;
  };
  const [hostKey, clientKey] = [await key("host"), await key("client")];
  const port = freePort();
  const config = home.pathOf("sshd_config");
  await Deno.writeTextFile(
    config,
    `ListenAddress 127.0.0.1:${port}
HostKey ${hostKey}
AuthorizedKeysFile ${clientKey}.pub
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
`,
  );
  // Where it shuts in what is not yet trusted, when it runs as root.
  if (Deno.uid() === 0) await Deno.mkdir("/run/sshd", { recursive: true });
  const server = spawnServer(starting, "/usr/sbin/sshd", [
    ...["-D", "-e", "-f", config],
  ]);
  await server.until("Server listening");
  const clientOptions = [
    ...["-F", "none", "-i", clientKey],
    ...["-o", "BatchMode=yes"],
    ...["-o", "StrictHostKeyChecking=no"],
    ...["-o", "UserKnownHostsFile=/dev/null"],
    ...["-o", "LogLevel=ERROR"],
  ];
  return {
    ...disposable(`127.0.0.1:${port}`, starting.move()),
    clientOptions,
  };
}

/**
 * A server as a script of another language, which writes `listening on PORT` to
 * standard error once it takes connections.
 */
export async function startScript(
  program: string,
  args: readonly string[],
): Promise<Target> {
  await using starting = new AsyncDisposableStack();
  const server = spawnServer(starting, program, args);
  const port = await server.until(/listening on ([0-9]+)\n/);
  return disposable(`127.0.0.1:${port}`, starting.move());
}

/** A TCP port that no program has now. */
export function freePort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

function disposable(target: string, stack: AsyncDisposableStack): Target {
  return { target, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** Start what serves until `stack` is disposed of. */
function spawnServer(
  stack: AsyncDisposableStack,
  program: string,
  args: readonly string[],
): LogWatch {
  const server = command(program, args, { stdout: "null", stderr: "piped" })
    .spawn();
  const log = new LogWatch(server.stderr);
  stack.defer(async () => {
    server.kill("SIGTERM");
    await server.status;
    await log.ended;
  });
  return log;
}

/** Reads a log to its end, and tells when some words have come. */
class LogWatch {
  readonly ended: Promise<void>;
  #text = "";
  #isOver = false;
  #more = Promise.withResolvers<void>();

  constructor(stream: ReadableStream<Uint8Array<ArrayBuffer>>) {
    this.ended = this.#read(stream);
  }

  /** @returns What the first group of `words` matched, if it has one. */
  async until(words: string | RegExp): Promise<string> {
    for (;;) {
      const match = this.#text.match(words);
      if (match !== null) return match[1] ?? "";
      if (this.#isOver) throw new Error(`No "${words}" in: ${this.#text}`);
      await this.#more.promise;
    }
  }

  async #read(stream: ReadableStream<Uint8Array<ArrayBuffer>>): Promise<void> {
    for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
      this.#text += chunk;
      this.#wake();
    }
    this.#isOver = true;
    this.#wake();
  }

  #wake(): void {
    this.#more.resolve();
    this.#more = Promise.withResolvers();
  }
}
