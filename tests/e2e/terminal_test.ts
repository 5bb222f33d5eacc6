/**
 * A node that a person started in a terminal, and left with a download under way: by
 * Ctrl-C, pressed again and again, or by closing the terminal.
 *
 * @module
 */
import assert from "node:assert/strict";
import { raceSignal } from "../../lib/base/clock.ts";
import { askList } from "../support/asked_node.ts";
import { isInstalled, run } from "../support/client_programs.ts";
import { untilFound } from "../support/polling.ts";
import { logLine, type ProcessOptions } from "../support/process.ts";
import {
  type NodeProcess,
  ProcessNetwork,
} from "../support/process_network.ts";

const IS_ABLE = Deno.build.os === "linux" &&
  ["curl", "ps", "script"].every(isInstalled);

/** At `RATE`, longer than a stop without `--drain` would wait. */
const FILE_BYTES = 14_000_000;
const RATE = "2M";
/** Less than the time in which signals are one wish, ms: this process may be late. */
const TOGETHER_MS = 1_000;

/** Longest time until a node has ended whose last stream has, ms. */
const END_MS = 30_000;

/** Starts a program in a terminal that it has for itself, and that ends with `script`. */
function inTerminal(redirected: string): ProcessOptions {
  const line = `exec $* ${redirected}`;
  const start =
    `exec 3>&1 4>&2; exec script -qefc "${line}" /dev/null >&- 2>&-`;
  return { before: ["sh", "-c", start, "sh"] };
}

/** What became of a download, and what the service's log says of its end. */
interface Ended {
  readonly bytes: number;
  readonly code: number;
  readonly log: string;
}

/** The process that `script` started, or this one where there is none. */
async function nodeOf(pid: number): Promise<number> {
  // By another program: Deno lets none of ours read what the kernel says of processes.
  const { text } = await run("ps", ["-o", "pid=", "--ppid", `${pid}`]);
  const [child = ""] = text.trim().split(/\s+/);
  return Number(child) || pid;
}

/** End what outlives its terminal, if it is still there. */
function endNode(pid: number): void {
  try {
    Deno.kill(pid, "SIGKILL");
  } catch {
    // It has ended, as it should.
  }
}

/** Leave a service with a download under way. */
async function leave(
  program: ProcessOptions,
  goAway: (service: NodeProcess) => Promise<void>,
): Promise<Ended> {
  await using target = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => new Response(new Uint8Array(FILE_BYTES)),
  );
  await using network = await ProcessNetwork.start({
    relays: 4,
    program: (command) => command === "run" ? program : {},
  });
  // With a file, SIGHUP is a reload: not that of a terminal that was closed.
  const config = network.home.pathOf("anonnet.toml");
  await Deno.writeTextFile(
    config,
    `service = ["site,80=127.0.0.1:${target.addr.port}"]\n`,
  );
  const service = await network.start("run", "service", ["--config", config]);
  const pid = await nodeOf(service.pid);
  await using stack = new AsyncDisposableStack();
  stack.defer(() => endNode(pid));
  const proxy = await network.proxy("proxy");
  const download = run("curl", [
    ...["-q", "-sS", "--proxy", `socks5h://${proxy.socks}`],
    ...["--limit-rate", RATE, "--max-time", "50", "-o", "/dev/null"],
    ...["-w", "%{size_download}", `http://${service.host}/`],
  ]);
  await untilFound(
    async () => {
      const [shown] = await askList(service.state, "services");
      return shown?.["streams"] === 1 ? shown : undefined;
    },
    20_000,
    "a stream",
  );
  await goAway(service);
  const { text } = await download;
  const { code, stderr: log } = await raceSignal(
    service.process.outcome(),
    AbortSignal.timeout(END_MS),
  );
  return { bytes: Number(text), code, log };
}

/** Wait until a service says that it drains. */
function drains({ process }: NodeProcess): Promise<unknown> {
  return logLine(
    process,
    "Waiting for streams to end",
    ({ streams }) => streams === 1,
  );
}

function assertDrained({ bytes, log }: Ended): void {
  assert.equal(bytes, FILE_BYTES, log);
  assert.match(log, /All streams have ended/);
  assert.match(log, /"message":"Stopped"/);
  assert.doesNotMatch(log, /hard way|reload/);
}

Deno.test({
  name:
    "SIGINT again and again within two seconds is one wish to stop, and a download ends whole",
  ignore: !IS_ABLE,
  async fn() {
    const ended = await leave({}, async (service) => {
      const startMs = performance.now();
      for (let times = 0; times < 3; times++) service.process.signal("SIGINT");
      await drains(service);
      while (performance.now() - startMs < TOGETHER_MS) {
        service.process.signal("SIGINT");
        await askList(service.state, "services").catch(() => {});
      }
    });
    assertDrained(ended);
    assert.equal(ended.code, 0);
  },
});

Deno.test({
  name:
    "a service whose terminal is closed lets a download end, though SIGHUP would reload its file",
  ignore: !IS_ABLE,
  async fn() {
    assertDrained(
      await leave(inTerminal(">&3 2>&4"), async (service) => {
        service.process.signal("SIGKILL");
        await drains(service);
      }),
    );
  },
});

Deno.test({
  name:
    "a service whose log goes with its terminal lets a download end all the same",
  ignore: !IS_ABLE,
  async fn() {
    const { bytes } = await leave(inTerminal(">&3"), (service) => {
      service.process.signal("SIGKILL");
      return Promise.resolve();
    });
    assert.equal(bytes, FILE_BYTES);
  },
});
