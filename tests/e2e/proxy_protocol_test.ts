/**
 * Visitors told apart: to programs behind a service by the PROXY protocol, to its
 * operator by a list of sessions.
 */
import assert from "node:assert/strict";
import {
  isInstalled,
  run,
  startHaproxy,
  startNginxAnswering,
  type Target,
} from "../support/client_programs.ts";
import { runProgram } from "../support/process.ts";
import { ProcessNetwork } from "../support/process_network.ts";

const NEEDED = ["curl", "haproxy", "nginx"];
const MISSING = NEEDED.filter((name) => !isInstalled(name));

/** An answer of both servers: the visitor's address and the stream's number. */
const ANSWER = /^(fd61:6e6f:6e6e:6574::[0-9a-f]{1,4}:[0-9a-f]{1,4}) (\d+)$/;

Deno.test({
  name: "haproxy and nginx can tell visitors apart, and the operator ends one" +
    MISSING.map((name) => `; skipped: no ${name} here`).join(""),
  ignore: MISSING.length > 0,
  async fn() {
    await using haproxy: Target = await startHaproxy();
    await using nginx: Target = await startNginxAnswering();
    await using network = await ProcessNetwork.start({ relays: 4 });
    const service = await network.serve(
      [`80=${haproxy.target}`, `81=${nginx.target}`],
      ["--hops=2", "--proxy-protocol"],
    );
    const proxy = await network.proxy("proxy", ["--hops=2"]);
    const ask = async (visitor: string, port: number) => {
      const { text, stderr } = await run("curl", [
        ...["-q", "-sS", "--max-time", "30"],
        ...["--proxy", `socks5h://${visitor}:x@${proxy.socks}`],
        `http://${service.host}:${port}/`,
      ]);
      const [, address = "", number] = ANSWER.exec(text.trim()) ?? [];
      assert.ok(address !== "", `${text} ${stderr}`);
      return { address, number: Number(number) };
    };
    const first = await ask("anna", 80);
    const second = await ask("anna", 81);
    const other = await ask("ben", 81);
    assert.equal(second.address, first.address);
    assert.ok(second.number > first.number);
    assert.notEqual(other.address, first.address);

    const services = (...words: string[]) =>
      runProgram(["services", `--state=${service.state}`, ...words]);
    const idOf = (address: string) =>
      address.split(":").slice(-2).map((group) => group.padStart(4, "0"))
        .join("");
    const ids = async () => {
      const listed: { id: string; service: string }[] = JSON.parse(
        (await services("--sessions", "--json")).stdout,
      );
      return listed.filter(({ service }) => service === "default")
        .map(({ id }) => id);
    };
    for (const { address } of [first, other]) {
      assert.ok((await ids()).includes(idOf(address)));
    }
    assert.match(
      (await services("--sessions")).stdout,
      new RegExp(`^ID .*\\n(.*\\n)*${idOf(first.address)} +default `),
    );

    const closed = await services("--close", idOf(first.address));
    assert.equal(closed.stdout, `Closed session ${idOf(first.address)}.\n`);
    assert.ok(!(await ids()).includes(idOf(first.address)));
    assert.ok((await ids()).includes(idOf(other.address)));
    const again = await services("--close", idOf(first.address));
    assert.equal(again.code, 1);
    assert.match(again.stderr, /no service of this node has it/);
    for (const word of ["x", "9A3C12F0", "9a3c12f00", "abcdefgh"]) {
      const refused = await services("--close", word);
      assert.equal(refused.code, 2, refused.stderr);
      assert.match(refused.stderr, /8 characters, each 0 to 9 or a to f/);
    }
    const both = await services("--sessions", "--close", "00000000");
    assert.equal(both.code, 2);

    // Who was closed may come again, as another.
    const returned = await ask("anna", 80);
    assert.notEqual(returned.address, first.address);
    assert.deepEqual(await ask("ben", 81), {
      address: other.address,
      number: other.number + 1,
    });
  },
});
