/**
 * Programs that people use, each through a proxy of ours to a `.anon` service.
 *
 *     deno task long:clients      over ten relays, with a file of a GiB
 *
 * @module
 */
import assert from "node:assert/strict";
import {
  command,
  isInstalled,
  run,
  type SshServer,
  startNginx,
  startSshd,
  succeed,
} from "../support/client_programs.ts";
import { NodeProcess, ProcessNetwork } from "../support/process_network.ts";
import { TemporaryDirectory } from "../support/temporary_directory.ts";
import { findTraces, tracesOf } from "./_traces.ts";
import { BIG, IS_LONG, PART_BYTES, Site, testBytes } from "./_site.ts";

const CURL = ["-q", "-sS", "--fail", "--max-time", "50"];

const RELAYS = IS_LONG ? 10 : 5;
const MIB = 1024 * 1024;
/** Size of the file that nginx has. */
const HUGE_MIB = IS_LONG ? 1024 : 16;
/** Longest time for that file: a MiB/s. */
const HUGE_S = HUGE_MIB;

/** Virtual ports: a site, nginx, and SSH. */
const PORTS = { site: 80, nginx: 8080, ssh: 22 } as const;

/** A network, a service with all that clients want, and two proxies. */
class World implements AsyncDisposable {
  readonly #stack: AsyncDisposableStack;
  readonly home: TemporaryDirectory;
  readonly network: ProcessNetwork;
  readonly site: Site;
  readonly sshd: SshServer | undefined;
  readonly service: NodeProcess;
  readonly proxies: readonly [NodeProcess, NodeProcess];

  private constructor(
    parts: Pick<
      World,
      "home" | "network" | "site" | "sshd" | "service" | "proxies"
    >,
    stack: AsyncDisposableStack,
  ) {
    this.home = parts.home;
    this.network = parts.network;
    this.site = parts.site;
    this.sshd = parts.sshd;
    this.service = parts.service;
    this.proxies = parts.proxies;
    this.#stack = stack;
  }

  static async create(): Promise<World> {
    await using starting = new AsyncDisposableStack();
    const home = starting.use(await TemporaryDirectory.create());
    const [repositories, files] = [home.pathOf("git"), home.pathOf("files")];
    await Deno.mkdir(repositories);
    await Deno.mkdir(files);
    await Deno.writeFile(`${files}/big`, BIG);
    await writeHuge(`${files}/huge`);
    const site = starting.use(new Site(repositories));
    const nginx = isInstalled("nginx")
      ? starting.use(await startNginx(files))
      : undefined;
    const sshd = isInstalled("sshd")
      ? starting.use(await startSshd())
      : undefined;
    const network = starting.use(
      await ProcessNetwork.start({
        relays: RELAYS,
        flags: ["--log-level=debug"],
      }),
    );
    const [service, ...proxies] = await Promise.all([
      network.serve([
        `${PORTS.site}=${site.target}`,
        ...nginx ? [`${PORTS.nginx}=${nginx.target}`] : [],
        ...sshd ? [`${PORTS.ssh}=${sshd.target}`] : [],
      ]),
      network.proxy("proxy-0", ["--automap"]),
      network.proxy("proxy-1"),
    ]);
    const parts = { home, network, site, sshd, service, proxies };
    return new World(parts, starting.move());
  }

  /** The site behind the service. */
  get url(): string {
    return `http://${this.service.host}`;
  }

  /** Each proxy of each kind, as curl and git take it. */
  get proxyUrls(): string[] {
    return this.proxies.flatMap(({ socks, http }) => [
      `socks5h://${socks}`,
      `http://${http}`,
    ]);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#stack.disposeAsync();
  }
}

/** A file, no two blocks of which are the same. */
async function writeHuge(path: string): Promise<void> {
  using file = await Deno.open(path, { write: true, createNew: true });
  const block = testBytes(MIB);
  for (let number = 0; number < HUGE_MIB; number++) {
    new DataView(block.buffer).setUint32(0, number);
    for (let at = 0; at < MIB;) at += await file.write(block.subarray(at));
  }
}

/** One client, what it takes, and what it does. */
interface Client {
  readonly name: string;
  readonly programs: readonly string[];
  use(world: World): Promise<void>;
}

const CLIENTS: readonly Client[] = [
  {
    name: "curl, through SOCKS5 and HTTP, down and up",
    programs: ["curl"],
    async use({ url, proxyUrls, service, home }) {
      const upload = home.pathOf("upload");
      await Deno.writeFile(upload, BIG);
      for (const proxy of proxyUrls) {
        const through = [...CURL, "--proxy", proxy];
        const hello = await succeed("curl", [...through, `${url}/hello`]);
        assert.equal(hello.text, `hello from ${service.host}`);
        const big = await succeed("curl", [...through, `${url}/big`]);
        assert.deepEqual(big.stdout, BIG);
        const size = ["--data-binary", `@${upload}`, `${url}/size`];
        const sent = await succeed("curl", [...through, ...size]);
        assert.equal(sent.text, String(BIG.length));
      }
    },
  },
  {
    name: "curl, 100 downloads at once",
    programs: ["curl"],
    async use({ url, proxies: [{ socks }], home }) {
      const part = BIG.subarray(0, PART_BYTES);
      const folder = home.pathOf("parallel");
      const many = ["--parallel", "--parallel-max", "100", "--create-dirs"];
      await succeed("curl", [
        ...[...CURL, ...many, "--proxy", `socks5h://${socks}`],
        ...["-o", `${folder}/#1`, `${url}/part?[1-100]`],
      ]);
      for (let i = 1; i <= 100; i++) {
        assert.deepEqual(await Deno.readFile(`${folder}/${i}`), part);
      }
    },
  },
  {
    name: "curl under torsocks, which resolves names through SOCKS5",
    programs: ["curl", "torsocks"],
    async use({ url, service, proxies: [{ socks }] }) {
      const [address = "", port = ""] = socks.split(":");
      const { text } = await succeed("torsocks", [
        ...["-a", address, "-P", port, "curl", ...CURL, `${url}/hello`],
      ]);
      assert.equal(text, `hello from ${service.host}`);
    },
  },
  {
    name: "wget, through HTTP",
    programs: ["wget"],
    async use({ url, proxies: [{ http }] }) {
      const args = ["--no-config", "-q", "-t", "1", "-T", "50", "-O", "-"];
      const env = { http_proxy: `http://${http}` };
      const big = await run("wget", [...args, `${url}/big`], { env });
      assert.deepEqual(big.stdout, BIG, big.stderr);
    },
  },
  {
    name: "nginx, as the target of a port",
    programs: ["curl", "nginx"],
    async use({ url, proxyUrls }) {
      for (const proxy of proxyUrls.slice(0, 2)) {
        const file = `${url}:${PORTS.nginx}/big`;
        const args = [...CURL, "--proxy", proxy, file];
        assert.deepEqual((await succeed("curl", args)).stdout, BIG);
      }
    },
  },
  {
    name: `nginx, a file of ${HUGE_MIB} MiB`,
    programs: ["curl", "nginx", "sha256sum"],
    async use({ url, proxies: [{ socks }], home }) {
      const copy = home.pathOf("huge");
      const args = ["-q", "-sS", "--fail", "--max-time", `${HUGE_S}`];
      const through = ["--proxy", `socks5h://${socks}`, "-o", copy];
      const file = `${url}:${PORTS.nginx}/huge`;
      const ms = 1000 * HUGE_S;
      await succeed("curl", [...args, ...through, file], { ms });
      const sum = async (path: string) =>
        (await succeed("sha256sum", [path])).text.slice(0, 64);
      assert.equal(await sum(copy), await sum(home.pathOf("files/huge")));
    },
  },
  {
    name: "git, clones and pushes over HTTP",
    programs: ["git"],
    async use({ url, proxyUrls, home }) {
      const env = {
        HOME: home.path,
        GIT_CONFIG_NOSYSTEM: "1",
        GIT_AUTHOR_NAME: "a",
        GIT_AUTHOR_EMAIL: "a@b",
        GIT_COMMITTER_NAME: "a",
        GIT_COMMITTER_EMAIL: "a@b",
      };
      const git = (...args: string[]) => succeed("git", args, { env });
      const bare = home.pathOf("git/a.git");
      await git("init", "-q", "--bare", "-b", "main", bare);
      await git("-C", bare, "config", "http.receivepack", "true");
      const first = home.pathOf("first");
      await git("init", "-q", "-b", "main", first);
      await Deno.writeFile(`${first}/file`, testBytes(300_000));
      await git("-C", first, "add", "file");
      await git("-C", first, "commit", "-q", "-m", "one");
      const [socks = "", http = ""] = proxyUrls;
      const remote = `${url}/git/a.git`;
      const push = ["push", "-q", remote, "main"];
      await git("-C", first, "-c", `http.proxy=${http}`, ...push);
      for (const [index, proxy] of [socks, http].entries()) {
        const copy = home.pathOf(`copy-${index}`);
        await git("-c", `http.proxy=${proxy}`, "clone", "-q", remote, copy);
        assert.deepEqual(
          await Deno.readFile(`${copy}/file`),
          testBytes(300_000),
        );
      }
    },
  },
  {
    name: "ssh, by nc through SOCKS5 and through CONNECT",
    programs: ["ssh", "sshd", "ssh-keygen", "nc"],
    async use({ sshd, service, proxies: [{ socks }, { http }] }) {
      for (const [kind, proxy] of [["5", socks], ["connect", http]] as const) {
        const { text } = await succeed("ssh", [
          ...sshd?.clientOptions ?? [],
          ...["-o", `ProxyCommand=nc -X ${kind} -x ${proxy} %h %p`],
          ...[service.host, "head -c 200000 /dev/zero | tr '\\0' x; echo end"],
        ]);
        assert.equal(text, "x".repeat(200_000) + "end\n");
      }
    },
  },
  {
    name: "a WebSocket, through CONNECT",
    programs: [],
    async use({ url, proxies: [{ http, socks }] }) {
      for (const proxy of [`http://${http}`, `socks5h://${socks}`]) {
        using client = Deno.createHttpClient({ proxy: { url: proxy } });
        const address = `${url.replace("http", "ws")}/echo`;
        const socket = new WebSocket(address, { client });
        const answers: string[] = [];
        const done = Promise.withResolvers<void>();
        socket.onopen = () => {
          for (const word of ["one", "two", "x".repeat(100_000)]) {
            socket.send(word);
          }
        };
        socket.onmessage = ({ data }) => {
          answers.push(data);
          if (answers.length === 3) socket.close();
        };
        socket.onclose = () => done.resolve();
        socket.onerror = (event) => done.reject(event);
        await done.promise;
        assert.deepEqual(answers, [
          "echo one",
          "echo two",
          `echo ${"x".repeat(100_000)}`,
        ]);
      }
    },
  },
  {
    name: "Chromium, by the PAC file",
    programs: ["chromium"],
    async use({ url, site, service, proxies: [{ http }], home }) {
      const browser = command("chromium", [
        ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"],
        ...["--no-first-run", "--disable-background-networking"],
        ...["--disable-component-update", "--disable-sync"],
        "--disable-dev-shm-usage",
        `--user-data-dir=${home.pathOf("chromium")}`,
        `--proxy-pac-url=http://${http}/proxy.pac`,
        `${url}/page`,
      ], {
        env: { HOME: home.path },
        stdout: "null",
        stderr: "null",
        signal: AbortSignal.timeout(60_000),
      }).spawn();
      const died = browser.status.then(({ code }) => {
        throw new Error(`Chromium ended with ${code}`);
      });
      died.catch(() => {});
      try {
        assert.deepEqual(await Promise.race([site.report, died]), {
          title: "A page",
          hello: `hello from ${service.host}`,
          echo: "echo from a browser",
          length: BIG.length,
        });
      } finally {
        browser.kill("SIGTERM");
        await browser.status;
      }
    },
  },
];

Deno.test({
  name:
    "programs that people use reach a service, and relays do not learn which",
  ignore: Deno.build.os !== "linux",
  async fn(t) {
    await using world = await World.create();
    for (const client of CLIENTS) {
      const missing = client.programs.filter((name) => !isInstalled(name));
      const skipped = missing.map((name) => `; skipped: no ${name} here`);
      await t.step({
        name: client.name + skipped.join(""),
        ignore: missing.length > 0,
        fn: () => client.use(world),
      });
    }
    await t.step("no relay has a trace of the service's name", async () => {
      const { service, network: { relays } } = world;
      for (const relay of relays) {
        const log = await relay.endAndGetLog();
        assert.match(log, /"level":"debug"/);
        const found = await findTraces(tracesOf(service.host), {
          folder: relay.state,
          log,
        });
        assert.deepEqual(found, [], relay.name);
      }
    });
    await t.step("… and would, if it were written anywhere", async () => {
      const { service, network: { relays: [relay] } } = world;
      assert.ok(relay !== undefined);
      for (const trace of tracesOf(service.host)) {
        const file = `${relay.state}/planted`;
        await Deno.writeFile(file, trace.bytes);
        const found = await findTraces([trace], {
          folder: relay.state,
          log: "",
        });
        assert.equal(found.length, 1, trace.name);
      }
    });
  },
});
