/**
 * One name, two machines, as docs/operate.md has it: the files are made, two hosts
 * run with them, and one is killed in the middle of downloads.
 */
import assert from "node:assert/strict";
import { sleep } from "../../lib/base/clock.ts";
import { SystemClock } from "../../lib/machine/system_clock.ts";
import { readProjectFile } from "../../tools/project_files.ts";
import { isInstalled, run } from "../support/client_programs.ts";
import { runProgram } from "../support/process.ts";
import {
  type NodeProcess,
  ProcessNetwork,
} from "../support/process_network.ts";
import { testBytes } from "./_site.ts";

const CLOCK = new SystemClock();
const BYTES = testBytes(800_000);
const PIECES = 40;
const PIECE_MS = 400;
/** Beside all other tests, processes get a small part of the machine. */
const SLOWNESS = 3;
/** A new visit works within this, ms. */
const VISIT_MS = SLOWNESS * 5_000;

const PAGE = readProjectFile("docs/operate.md");
/** The commands of the page's section, in their order. */
const COMMANDS = [...PAGE.matchAll(/^```shell\n([^]*?)^```/gm)]
  .flatMap(([, text = ""]) => text.trim().split("\n"))
  .filter((line) => line.startsWith("anonnet "))
  .map((line) => line.split(" ").slice(1));

/** A site that says which machine it is on, and sends a file slowly. */
class SlowSite implements AsyncDisposable {
  /** Downloads begun. */
  downloads = 0;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(name: string) {
    const options = { hostname: "127.0.0.1", port: 0, onListen: () => {} };
    this.#server = Deno.serve(options, (request) => {
      if (!request.url.endsWith("/slow")) return new Response(name);
      this.downloads++;
      return new Response(slowBody());
    });
  }

  get address(): string {
    return `127.0.0.1:${this.#server.addr.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }
}

function slowBody(): ReadableStream<Uint8Array> {
  const step = BYTES.length / PIECES;
  let at = 0;
  return new ReadableStream({
    async pull(controller) {
      await sleep(CLOCK, PIECE_MS);
      controller.enqueue(BYTES.slice(at, at + step));
      at += step;
      if (at >= BYTES.length) controller.close();
    },
  });
}

/** Run a command of the page, with its folders under `home`. */
async function runCommand(words: readonly string[], home: string) {
  const { code, stdout, stderr } = await runProgram(under(words, home));
  assert.equal(code, 0, stderr);
  return stdout;
}

/** A command's words, with its folders under `home`. */
function under(words: readonly string[], home: string): string[] {
  return words.map((word) =>
    word.replace(/^(keys|files|renewed|moved)(?=\/|$)/, `${home}/$1`)
  );
}

async function startHost(
  network: ProcessNetwork,
  [, ...words]: readonly string[],
  site: SlowSite,
): Promise<NodeProcess> {
  const flags = under(words, network.home.path)
    .map((word) => word.replace("127.0.0.1:8080", site.address));
  const at = flags.indexOf("--state");
  const [, name = ""] = flags.splice(at, 2);
  return await network.start("serve", name, flags);
}

Deno.test({
  name:
    "of two hosts one is killed: downloads of the other go on, and a new visit works",
  ignore: !isInstalled("curl"),
  async fn() {
    const isOf = (command: string) => (words: readonly string[]) =>
      words[0] === command;
    const serves = COMMANDS.filter(isOf("serve"));
    const [keygen, delegate, ...others] = COMMANDS.filter((words) =>
      words[0] !== "serve"
    );
    assert.ok(keygen !== undefined && delegate !== undefined);
    await using network = await ProcessNetwork.start({ relays: 6 });
    const home = network.home.path;
    for (const folder of ["keys", "files", "renewed", "moved"]) {
      await Deno.mkdir(`${home}/${folder}`, { mode: 0o700 });
    }
    await runCommand(keygen, home);
    await runCommand(delegate, home);
    await using first = new SlowSite("first");
    await using second = new SlowSite("second");
    const sites = [first, second];
    const [hosts, proxy] = await Promise.all([
      Promise.all(
        serves.map((words, index) =>
          startHost(network, words, sites[index] ?? first)
        ),
      ),
      network.proxy("proxy"),
    ]);
    const [one, two] = hosts;
    assert.ok(one !== undefined && two !== undefined);
    const address = two.host;
    assert.equal(one.host, address);

    const curl = (isolation: string, path: string) =>
      run("curl", [
        "--silent",
        "--show-error",
        "--max-time",
        "120",
        "--proxy",
        `socks5h://${isolation}:x@${proxy.socks}`,
        `http://${address}${path}`,
      ]);
    const downloads: { site: SlowSite; done: ReturnType<typeof run> }[] = [];
    while (sites.some((site) => site.downloads === 0)) {
      assert.ok(downloads.length < 16, "both hosts are visited");
      const before = first.downloads;
      const done = curl(`d${downloads.length}`, "/slow");
      const begun = first.downloads + second.downloads;
      while (first.downloads + second.downloads === begun) {
        await sleep(CLOCK, 50);
      }
      downloads.push({ site: first.downloads > before ? first : second, done });
    }
    await one.end("kill");
    for (let visit = 0; visit < 4; visit++) {
      const startMs = performance.now();
      const { code, stdout } = await curl(`v${visit}`, "/");
      const tookMs = performance.now() - startMs;
      assert.equal(code, 0);
      assert.equal(new TextDecoder().decode(stdout), "second");
      assert.ok(tookMs < VISIT_MS, `visit ${visit} after ${tookMs} ms`);
    }
    for (const { site, done } of downloads) {
      const { code, stdout } = await done;
      if (site === first) assert.notEqual(code, 0, "it was cut");
      else assert.deepEqual(stdout, BYTES);
    }
    // The rest of the page: renew, move, take back.
    for (const words of others) {
      const said = await runCommand(words, home);
      assert.match(said, /^address {5}[a-z2-7]{56}\.anon$/m);
    }
  },
});
