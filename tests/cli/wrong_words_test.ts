/**
 * Command lines and configuration files that make no sense: they end with code 2
 * before anything is begun, and say what to write.
 *
 * @module
 */
import assert from "node:assert/strict";
import { run } from "../../lib/cli/main.ts";
import { MemoryFiles } from "../../lib/storage/memory_files.ts";
import { recording } from "./recording_program.ts";

/** Where nodes keep what they must not lose, unless they are told. */
const DEFAULT_STATE = "anonnet-state";

/** Words, and what is said to them. */
type Case = readonly [readonly string[], RegExp];

const OF_RELAYS: readonly Case[] = [
  [[], /Usage: anonnet COMMAND/],
  [["rely"], /did you mean relay\?/],
  [["--state", "x"], /the command comes first/],
  [["relay", "--staet=x"], /no such flag; did you mean --state\?/],
  [["relay", "-s"], /no such flag/],
  [["relay", "x"], /takes only flags/],
  [["relay", "--state"], /--state: the value is missing/],
  [["relay", "--state", "--ready-json"], /--state: the value is missing/],
  [["relay", "--state="], /--state: the value is empty/],
  [["relay", "--state=a", "--state=b"], /given twice/],
  [["relay", "--ready-json=yes"], /takes no value/],
  [["relay", "--listen=example.org:1"], /--listen: .* not an IP literal/],
  [["relay", "--listen=127.0.0.1"], /write 192\.0\.2\.7:4001/],
  [["relay", "--listen=127.0.0.1:65536"], /above 65535/],
  [["relay", "--network=mian"], /choose main or local/],
  [["relay", "--bootstrap=127.0.0.1:1"], /begin with anon:\/\//],
  [["relay", "--bootstrap=anon://abc@127.0.0.1:1"], /has 3 characters/],
  [["relay", "--log-level=loud"], /write one of debug, info/],
  [["relay", "--log-format=xml"], /write one of text, json/],
  [["relay", "--workers=0"], /--workers: .*from 1 to 64, or auto/],
  [["relay", "--workers=-1"], /--workers: .*from 1 to 64, or auto/],
  [["relay", "--workers=65"], /--workers: .*from 1 to 64, or auto/],
  [["relay", "--workers=many"], /--workers: .*from 1 to 64, or auto/],
  [["relay", "--workers=2", "--listen=127.0.0.1:65535"], /port 65536/],
  [["relay", "--workers=4", "--rate=1MB"], /4 workers: .* least that works/],
  [["run", "--relay", "--workers=2", "--socks=127.0.0.1:0"], /need a process/],
  [["run", "--workers=2", "--socks=127.0.0.1:0"], /only relays have workers/],
  [["relay", "--config=missing.toml"], /missing\.toml": there is none/],
];

const OF_SERVICES: readonly Case[] = [
  [["serve"], /write PORT=TARGET, such as 80=127\.0\.0\.1:8080/],
  [["serve", "8080"], /write PORT=TARGET/],
  [["serve", "0=127.0.0.1:1"], /ports go from 1 to 65535/],
  [["serve", "65536=127.0.0.1:1"], /ports go from 1 to 65535/],
  [["serve", "80=example.com:80"], /write an IP address and port/],
  [["serve", "80=127.0.0.1:0"], /write an IP address and port/],
  [["serve", "80=unix:"], /unix:\/run/],
  [["serve", "80=127.0.0.1:1", "80=127.0.0.1:2"], /port 80 twice/],
  [["serve", "--name=Blog", "80=127.0.0.1:1"], /lower-case letters/],
  [["serve", "--authorise=abc", "80=127.0.0.1:1"], /103 letters/],
  [["serve", "--max-streams=0", "80=127.0.0.1:1"], /"0".* from 1 to 4096/],
  [["run", "--max-streams=blog"], /NAME=N/],
  [["run", "--max-streams=blog=9"], /there is no such service/],
  [["proxy", "--hops=0"], /write a number from 1 to 7/],
  [["proxy", "--hops=8"], /write a number from 1 to 7/],
  [["proxy", "--socks=9050"], /--socks: /],
  [
    ["proxy", "--tor-control=0.0.0.0:9051"],
    /for this machine alone; write 127/,
  ],
  [["proxy", "--tor-control-imports"], /without --tor-control/],
  [
    ["run", "--socks=127.0.0.1:1", "--tor-control-password-hash=hello"],
    /58 hex/,
  ],
  [["run", "--relay", "--onion-alias"], /without --socks, --http or --tor-con/],
  [["proxy", "80=127.0.0.1:1"], /takes only flags/],
  [["run"], /there is nothing to do; give --relay, --socks/],
  [["run", "--service=blog"], /PORT=TARGET/],
  [["run", "--authorise=blog"], /NAME=KEY/],
  [["services", "add"], /services add NAME PORT=TARGET/],
  [["services", "add", "web"], /write PORT=TARGET, such as/],
  [["services", "add", "Web", "80=127.0.0.1:1"], /lower-case letters/],
  [["services", "add", "web", "80=127.0.0.1:1", "80=[::1]:1"], /port 80 twice/],
  [["services", "add", "web", "80=example.com:80"], /write an IP address/],
  [["services", "add", "web", "80=[::1]:1", "--authorise=abc"], /103 letters/],
  [["services", "add", "web", "80=[::1]:1", "--sessions"], /leave --sessions/],
  [["services", "remove"], /services remove NAME/],
  [["services", "remove", "a", "b"], /services remove NAME/],
  [["services", "remove", "a", "--ephemeral"], /without services add/],
  [["services", "--public"], /without services add/],
  [["services", "list"], /write anonnet services, /],
  [["lookup"], /give one address/],
  [["lookup", "a.anon", "b.anon"], /give one address/],
  [["keygen", "--vanity=hello!"], /of a-z and 2-7/],
  [["keygen", "--vanity=aaaaaaaa"], /1 to 7/],
  [["demo", "--relays=4"], /from 5 to 100/],
  [["demo", "--seconds=-1"], /from 1 to/],
];

const IN_FILES: readonly (readonly [string, RegExp])[] = [
  ["bootstraps = []", /no such setting; did you mean bootstrap\?/],
  ["state = 'a'\nnetwork = ", /line 2, column/],
  ["listen = '127.0.0.1'", /"listen" of the --config file: .*write 192/],
  ["ready-json = 'yes'", /write true or false/],
  ["state = ['a']", /write a text: state = "…"/],
  ["config = 'b'", /no such setting/],
];

/** Run words that make no sense, and see that nothing but an answer comes of it. */
async function refuse(
  words: readonly string[],
  message: RegExp,
  files = new MemoryFiles(),
): Promise<void> {
  const { program, printed, told } = recording(files);
  const code = await run(words, program);
  const what = `anonnet ${words.join(" ")}\n${told.join("\n")}`;
  assert.equal(code, 2, what);
  assert.deepEqual(printed, [], what);
  assert.match(told.join("\n"), message, what);
  assert.equal(await files.facts(DEFAULT_STATE), undefined, what);
}

Deno.test("malformed command lines end with code 2, and say what to write", async () => {
  for (const [words, message] of OF_RELAYS) await refuse(words, message);
});

Deno.test("words that make no sense end with code 2 before anything is begun, and say what to write", async () => {
  for (const [words, message] of OF_SERVICES) await refuse(words, message);
});

Deno.test("a mistake in a configuration file ends with code 2, and names its place", async () => {
  const name = "anonnet.toml";
  for (const [text, message] of IN_FILES) {
    const files = new MemoryFiles();
    files.plant(name, new TextEncoder().encode(text));
    await refuse(["relay", `--config=${name}`], message, files);
  }
});
