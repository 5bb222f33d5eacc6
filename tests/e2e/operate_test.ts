/**
 * Every command of docs/operate.md. What asks a node is run on one; what changes a
 * machine (`sudo …`) is held against the unit file and the settings of the page.
 */
import assert from "node:assert/strict";
import { readProjectFile } from "../../tools/project_files.ts";
import {
  freePort,
  isInstalled,
  startNginxServer,
  succeed,
} from "../support/client_programs.ts";
import { runProgram, startRelay } from "../support/process.ts";
import { ProcessNetwork } from "../support/process_network.ts";
import { TemporaryDirectory } from "../support/temporary_directory.ts";
import { testBytes } from "./_site.ts";

const PAGE = readProjectFile("docs/operate.md");
const UNIT = readProjectFile("docs/operate/anonnet.service");

/** The blocks of one language. */
function blocks(language: string): string[] {
  const found = PAGE.matchAll(
    new RegExp(`^\`\`\`${language}\n([^]*?)^\`\`\``, "gm"),
  );
  return Array.from(found, ([, text = ""]) => text);
}

const COMMANDS = blocks("sh").flatMap((text) => text.trim().split("\n"));
/** Lines that ask a node; the state directory is its user's, and so they take `sudo`. */
const ASKING = /^(sudo )?anonnet /;
const STATE = "/var/lib/anonnet";

/** What an operator has systemd do, and how each line looks. */
const SUDO = [
  /^install --mode=640 --group=prometheus STATE\/metrics-token \/etc\/prometheus\/anonnet-token$/,
  /^systemctl (daemon-reload|status anonnet|restart anonnet|reload nginx)$/,
  /^systemctl (enable --now --no-block|disable --now) anonnet$/,
  /^journalctl --unit anonnet --since today$/,
  /^install -m 755 anonnet \/usr\/bin\/anonnet$/,
  /^install -d (\/etc\/anonnet|-m 700 \/var\/lib\/anonnet)$/,
  /^install -m 644 anonnet\.toml \/etc\/anonnet\/anonnet\.toml$/,
  /^install -m 644 docs\/operate\/anonnet\.service \/etc\/systemd\/system\/anonnet\.service$/,
  /^apt-get install nginx-light$/,
  /^nginx -t$/,
  /^tar --(create|extract) --file anonnet-keys\.tar --directory \/var\/lib\/anonnet( service-site\.key)?$/,
  /^tar --list --file anonnet-keys\.tar$/,
];

Deno.test("what docs/operate.md has an operator do to a machine fits the unit file", () => {
  const lines = COMMANDS.filter((line) => !ASKING.test(line));
  assert.ok(lines.length > 15);
  for (const line of lines) {
    const [, command = ""] = /^(?:sudo )?(.*)$/.exec(line) ?? [];
    assert.ok(SUDO.some((known) => known.test(command)), `unknown: ${line}`);
  }
  assert.match(
    UNIT,
    /^ExecStart=\/usr\/bin\/anonnet run --config \/etc\/anonnet\/anonnet\.toml /m,
  );
  assert.match(UNIT, /^StateDirectory=anonnet$/m);
});

Deno.test("every command of docs/operate.md that asks a node works", async () => {
  await using home = await TemporaryDirectory.create();
  const state = home.pathOf("state");
  await using _relay = await startRelay(state);
  const lines = COMMANDS.filter((line) => ASKING.test(line));
  assert.ok(lines.length >= 7);
  for (const line of lines) {
    const words = line.replace(ASKING, "").replaceAll(STATE, state).split(" ");
    if (words[0] === "relay") {
      // It goes on, at an address of this machine and in a directory of its own.
      const flags = words.slice(1).join(" ").replace(
        /--state \S+ --listen \S+ /,
        "",
      );
      await using relay = await startRelay(
        home.pathOf("other"),
        flags.split(" "),
      );
      assert.match(relay.address, /^anon:/);
      continue;
    }
    const { code, stderr, stdout } = await runProgram(words);
    // A relay that is alone is told that it knows no other, and hosts nothing.
    const isAlone = words[0] === "doctor" && code === 1 ||
      words[0] === "services" && code === 1 && /hosts no service/.test(stderr);
    assert.ok(code === 0 || isAlone, `${line}: ${stderr}`);
    assert.notEqual(stdout + stderr, "", line);
  }
});

Deno.test("every configuration file of docs/operate.md is one that a node takes", async () => {
  await using home = await TemporaryDirectory.create();
  const files = blocks("toml");
  assert.equal(files.length, 3);
  for (const text of files) {
    assert.ok(text.includes(`state = "${STATE}"\n`), text);
    const path = home.pathOf("anonnet.toml");
    const key = "a".repeat(52);
    // A word that makes no sense, at the end: all before it is understood.
    await Deno.writeTextFile(
      path,
      text.replace("BOOTSTRAP", `anon://${key}@192.0.2.1:4001`) +
        'log-level = "loudest"\n',
    );
    const { code, stderr } = await runProgram(["run", "--config", path]);
    assert.equal(code, 2, stderr);
    assert.match(stderr, /log-level/);
  }
});

/** Where the page has nginx listen, and its files. */
const NGINX = { place: "127.0.0.1:8080", root: "/srv/site" };

Deno.test({
  name: "visitors get what nginx serves as docs/operate.md has it, and no more",
  ignore: !isInstalled("nginx") || !isInstalled("curl"),
  async fn() {
    const [server = "", ...others] = blocks("nginx");
    assert.deepEqual(others, []);
    const [, word = ""] = /^service = \["(.*)"\]$/m.exec(PAGE) ?? [];
    assert.ok(server.includes(`listen ${NGINX.place};`), server);
    assert.ok(server.includes(`root ${NGINX.root};`), server);
    assert.ok(word.endsWith(`=${NGINX.place}`), word);

    await using home = await TemporaryDirectory.create();
    const site = home.pathOf("site");
    await Deno.mkdir(`${site}/folder`, { recursive: true });
    const file = testBytes(300_000);
    await Deno.writeFile(`${site}/file.bin`, file);
    await Deno.writeTextFile(`${site}/folder/index.html`, "in the folder\n");
    const place = `127.0.0.1:${freePort()}`;
    const log = home.pathOf("access.log");
    await using _nginx = await startNginxServer(
      server.replace(NGINX.place, place).replace(NGINX.root, site),
      log,
    );
    await using network = await ProcessNetwork.start({ relays: 4 });
    const host = await network.start("run", "service", [
      `--service=${word.replace(NGINX.place, place)}`,
    ]);
    const proxy = await network.proxy("proxy");
    const curl = (path: string, ...flags: readonly string[]) =>
      succeed("curl", [
        ...["-q", "-sS", "--proxy", `socks5h://${proxy.socks}`, ...flags],
        `http://${host.host}${path}`,
      ]);

    assert.deepEqual((await curl("/file.bin")).stdout, file);
    const { text: moved } = await curl("/folder", "--include");
    assert.match(moved, /^HTTP\/1\.1 301 /);
    assert.match(moved, /^Location: \/folder\/\r$/m);
    assert.match(moved, /^Server: nginx\r$/m);
    const { text: page } = await curl("/folder", "--location");
    assert.equal(page, "in the folder\n");
    const { text: missing } = await curl("/missing", "--include");
    assert.match(missing, /^HTTP\/1\.1 404 /);
    assert.doesNotMatch(missing, /nginx\/[0-9]/);
    const lines = (await Deno.readTextFile(log)).trim().split("\n");
    assert.equal(lines.length, 5);
    for (const line of lines) assert.match(line, /^127\.0\.0\.1 /);
  },
});
