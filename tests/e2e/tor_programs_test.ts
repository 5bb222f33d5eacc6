/**
 * Programs made for Tor, unmodified, at its control port and by its addresses: they host
 * services on one node and visit them through another.
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { parseBase32 } from "../../lib/base/bytes.ts";
import { textBytes } from "../../lib/torcontrol/byte_text.ts";
import {
  isInstalled,
  run,
  startHaproxyBefore,
  startSshd,
  succeed,
} from "../support/client_programs.ts";
import { untilFound } from "../support/polling.ts";
import {
  type NodeProcess,
  ProcessNetwork,
} from "../support/process_network.ts";
import { TalkingProgram } from "../support/talking_program.ts";

const SHARED_BYTES = 50_000_000;
const CURL = ["-q", "-sS", "--max-time", "200"];

/** What programs work with. */
interface Place {
  readonly network: ProcessNetwork;
  /** Two nodes with a control port of Tor's form, proxies, and the alias. */
  readonly host: NodeProcess;
  readonly visitor: NodeProcess;
}

/** One kind of program. */
interface Case {
  readonly name: string;
  /** Whether all of it is there; else what is missing. */
  readonly missing: () => Promise<readonly string[]> | readonly string[];
  use(place: Place): Promise<void>;
}

const programs = (...names: readonly string[]) => () =>
  names.filter((name) => !isInstalled(name));

/** The one that Debian's modules are for. */
const PYTHON = "/usr/bin/python3";

const python = (module: string) => async () => {
  if (!isInstalled("python3")) return ["python3"];
  const { code } = await run(PYTHON, ["-c", `import ${module}`]);
  return code === 0 ? [] : [`python3-${module}`];
};

const scriptOf = (name: string) =>
  fileURLToPath(new URL(name, import.meta.url));

const portOf = (place: string) => place.slice(place.lastIndexOf(":") + 1);

/** A server that greets, until it is disposed of. */
function startGreeter(): { readonly port: string } & AsyncDisposable {
  const server = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    (request) => new Response(`hello to ${request.headers.get("host")}`),
  );
  return {
    port: `${server.addr.port}`,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}

/** Fetch through a node until it works: a new service is reached by and by. */
async function fetched(
  visitor: NodeProcess,
  url: string,
  ...args: readonly string[]
): Promise<string> {
  const proxy = `socks5h://${visitor.socks}`;
  return await untilFound(
    async () => {
      const { code, text } = await run("curl", [
        ...CURL,
        "--fail",
        "--proxy",
        proxy,
        ...args,
        url,
      ], { ms: 60_000 });
      return code === 0 ? text : undefined;
    },
    120_000,
    url,
  );
}

/** Say some lines at a node's control port, and read what it says. */
async function controlled(
  node: NodeProcess,
  ...lines: readonly string[]
): Promise<string> {
  const cookie = await Deno.readFile(`${node.state}/control-auth-cookie`);
  using socket = await Deno.connect({
    hostname: "127.0.0.1",
    port: Number(portOf(node.torControl)),
  });
  const words = [`AUTHENTICATE ${cookie.toHex()}`, ...lines, "QUIT"];
  await socket.write(textBytes(words.map((line) => `${line}\r\n`).join("")));
  return await new Response(socket.readable).text();
}

/** Where onionshare-cli finds the control port, and a home that is not the user's. */
async function onionshareEnvironment(
  { network }: Place,
  node: NodeProcess,
  name: string,
): Promise<{ readonly env: Record<string, string>; readonly config: string }> {
  const home = network.home.pathOf(name);
  await Deno.mkdir(home);
  const config = `${home}/config.json`;
  await Deno.writeTextFile(
    config,
    JSON.stringify({
      version: "2.6",
      connection_type: "control_port",
      control_port_address: "127.0.0.1",
      control_port_port: Number(portOf(node.torControl)),
      auth_type: "no_auth",
      locale: "en",
    }),
  );
  return { config, env: { HOME: home } };
}

const CASES: readonly Case[] = [
  {
    name:
      "stem creates a service, lists, watches and removes it, and has its address again",
    missing: python("stem"),
    async use({ host, visitor }) {
      await using greeter = startGreeter();
      await using program = new TalkingProgram(PYTHON, [
        scriptOf("stem_program.py"),
        portOf(host.torControl),
        greeter.port,
      ]);
      const id = await program.until(/^service ([a-z2-7]{56})$/m);
      assert.equal(
        await fetched(visitor, `http://${id}.onion/`),
        `hello to ${id}.onion`,
      );
      await program.until(/^conf 1$/m);
      await program.say("visited");
      await program.until(/^back True$/m);
      await program.say("done");
      assert.equal(await program.ended(), 0, program.text);
      assert.match(program.text, /^version 0\.4\.8\.10-anonnet$/m);
      assert.match(program.text, /^phase NOTICE BOOTSTRAP PROGRESS=100 /m);
      assert.match(program.text, /^listed True$/m);
      assert.match(program.text, /^twice .*has its key/m);
      assert.match(program.text, /^circuits True$/m);
      assert.match(program.text, /^removed True$/m);
      assert.match(
        program.text,
        /^events \['BW', 'CIRC', 'HS_DESC', .*'SIGNAL'/m,
      );
      assert.ok(program.text.includes(portOf(host.socks)));
      // What stem has added goes with it.
      assert.match(
        await controlled(host, "GETINFO onions/current"),
        /^250-onions\/current=\r$/m,
      );
    },
  },
  {
    name: "txtorcon creates a service and removes it, and reads the state",
    missing: python("txtorcon"),
    async use({ host, visitor }) {
      await using greeter = startGreeter();
      await using program = new TalkingProgram(PYTHON, [
        scriptOf("txtorcon_program.py"),
        portOf(host.torControl),
        greeter.port,
      ]);
      const name = await program.until(/^service ([a-z2-7]{56}\.onion)$/m);
      assert.equal(
        await fetched(visitor, `http://${name}/`),
        `hello to ${name}`,
      );
      await program.until(/^circuits True$/m);
      await program.say("visited");
      await program.until(/^removed True$/m);
      assert.equal(await program.ended(), 0, program.text);
    },
  },
  {
    name:
      "two onionshare-cli send a private file of 50 MB, and receive it again",
    missing: programs("onionshare-cli", "curl"),
    async use(place) {
      const { network, host, visitor } = place;
      const file = network.home.pathOf("shared.bin");
      const bytes = new Uint8Array(SHARED_BYTES);
      for (let at = 0; at < bytes.length; at += 65_536) {
        crypto.getRandomValues(bytes.subarray(at, at + 65_536));
      }
      await Deno.writeFile(file, bytes);
      const sharing = await onionshareEnvironment(place, host, "sharing");
      await using share = new TalkingProgram("onionshare-cli", [
        ...["--config", sharing.config, file],
      ], sharing.env);
      const url = await share.until(/http:\/\/([a-z2-7]{56}\.onion)/);
      const key = await share.until(/Private key: ([A-Z2-7]{52})/);
      const secret = parseBase32(key)?.toBase64();
      const id = url.slice(0, 56);
      const added = await controlled(
        visitor,
        `ONION_CLIENT_AUTH_ADD ${id} x25519:${secret}`,
      );
      assert.match(added, /^250 OK\r\n250 OK\r\n/);
      await fetched(visitor, `http://${url}/`);
      const got = network.home.pathOf("got.bin");
      await fetched(visitor, `http://${url}/download`, "-o", got);
      assert.deepEqual(await digest(got), await digest(file));

      const receiving = await onionshareEnvironment(
        place,
        visitor,
        "receiving",
      );
      const folder = network.home.pathOf("received");
      await Deno.mkdir(folder);
      await using receive = new TalkingProgram("onionshare-cli", [
        ...["--config", receiving.config, "--receive", "--public"],
        ...["--data-dir", folder],
      ], receiving.env);
      const upload = await receive.until(/http:\/\/([a-z2-7]{56}\.onion)/);
      await fetched(host, `http://${upload}/`);
      await succeed("curl", [
        ...[...CURL, "--fail", "--proxy", `socks5h://${host.socks}`],
        ...["-o", "/dev/null", "-F", `file[]=@${got}`],
        `http://${upload}/upload`,
      ], { ms: 200_000 });
      const [received] = await filesIn(folder);
      assert.ok(received !== undefined, receive.text);
      assert.deepEqual(await digest(received), await digest(file));
    },
  },
  {
    name: "nyx attaches and shows the node",
    missing: programs("nyx", "tmux"),
    async use({ network, host }) {
      const socket = network.home.pathOf("tmux");
      const tmux = (...args: readonly string[]) =>
        succeed("tmux", ["-S", socket, "-f", "/dev/null", ...args], {
          env: { HOME: network.home.path, TERM: "xterm" },
        });
      const nyx = `nyx -i ${host.torControl} 2>&1; sleep 60`;
      await tmux("new-session", "-d", "-x", "160", "-y", "50", nyx);
      try {
        const screen = await untilFound(
          async () => {
            // Something for its log to show.
            await controlled(host, "SIGNAL HEARTBEAT");
            const { text } = await tmux("capture-pane", "-p");
            const isThere = text.includes("0.4.8.10-anonnet") &&
              /Bandwidth|Download/.test(text) && /\[NOTICE\]/.test(text);
            return isThere ? text : undefined;
          },
          60_000,
          "nyx to show the node",
        ).catch(async (error) => {
          throw new Error((await tmux("capture-pane", "-p")).text, {
            cause: error,
          });
        });
        assert.match(screen, /Tor 0\.4\.8\.10-anonnet/);
        assert.match(screen, /cookie/i);
      } finally {
        await tmux("kill-server");
      }
    },
  },
  {
    name: "curl and ssh under torsocks visit by the alias, and haproxy answers",
    missing: programs("torsocks", "curl", "ssh", "sshd", "haproxy"),
    async use({ host, visitor }) {
      await using sshd = await startSshd();
      await using greeter = startGreeter();
      const added = await controlled(
        host,
        `ADD_ONION NEW:ED25519-V3 Flags=Detach,DiscardPK Port=22,${sshd.target} ` +
          `Port=80,${greeter.port}`,
      );
      const [, id = ""] = /^250-ServiceID=([a-z2-7]{56})\r$/m.exec(added) ?? [];
      const [address = "", port = ""] = visitor.socks.split(":");
      const torsocks = ["-a", address, "-P", port];
      await fetched(visitor, `http://${id}.onion/`);
      const page = await succeed("torsocks", [
        ...torsocks,
        ...["curl", ...CURL, `http://${id}.onion/`],
      ]);
      assert.equal(page.text, `hello to ${id}.onion`);
      const said = await succeed("torsocks", [
        ...torsocks,
        ...["ssh", ...sshd.clientOptions, `${id}.onion`, "echo", "hello"],
      ]);
      assert.equal(said.text, "hello\n");
      await using haproxy = await startHaproxyBefore(
        `127.0.0.1:${greeter.port}`,
      );
      const behind = await controlled(
        host,
        `ADD_ONION NEW:BEST Flags=Detach,DiscardPK Port=80,${haproxy.target}`,
      );
      const [, name = ""] = /^250-ServiceID=(.*)\r$/m.exec(behind) ?? [];
      assert.equal(
        await fetched(visitor, `http://${name}.onion/`),
        `hello to ${name}.onion`,
      );
      for (const one of [id, name]) {
        assert.match(
          await controlled(host, `DEL_ONION ${one}`),
          /250 OK\r\n250 OK/,
        );
      }
    },
  },
  {
    name: "an address of Tor's own is told to be of another network",
    missing: programs("curl"),
    async use({ visitor }) {
      // The Tor Project's site.
      const url =
        "http://2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion/";
      const proxy = ["--proxy", `http://${visitor.http}`];
      const page = await run("curl", [...CURL, ...proxy, url]);
      assert.match(page.text, /This \.onion address is not of this network/);
      const mistyped = await run("curl", [
        ...CURL,
        ...proxy,
        url.replace("2g", "3g"),
      ]);
      assert.match(
        mistyped.text,
        /Cannot use this \.onion address: it is mistyped/,
      );
    },
  },
];

async function digest(path: string): Promise<string> {
  const bytes = await Deno.readFile(path);
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes)).toHex();
}

async function filesIn(folder: string): Promise<string[]> {
  const paths: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    if (isDirectory) paths.push(...await filesIn(path));
    else paths.push(path);
  }
  return paths;
}

Deno.test({
  name: "programs made for Tor host and visit services, unmodified",
  ignore: Deno.build.os !== "linux",
  async fn(t) {
    await using network = await ProcessNetwork.start({ relays: 5 });
    const flags = ["--hops=2", "--onion-alias", "--tor-control=127.0.0.1:0"];
    const host = await network.proxy("host", flags);
    const visitor = await network.proxy("visitor", flags);
    const only = Deno.env.get("TOR_PROGRAM") ?? "";
    for (const { name, missing, use } of CASES) {
      const lacks = await missing();
      await t.step({
        name: lacks.length === 0
          ? name
          : `${name}; skipped: no ${lacks.join(", ")} here`,
        ignore: lacks.length > 0 || !name.includes(only),
        fn: () => use({ network, host, visitor }),
      });
    }
  },
});
