import assert from "node:assert/strict";
import {
  parseClientWord,
  parseMaxStreams,
  parseMaxStreamsWord,
  parseServiceWord,
  withClients,
  withMaxStreams,
  withProxyProtocol,
  withPublic,
} from "../../../lib/cli/flags/service_words.ts";

const KEY = `${"abcdefghijklmnopqrstuvwxyz234567".repeat(4).slice(0, 102)}a`;

Deno.test("parseServiceWord() reads a name, ports and targets of every kind", () => {
  const { name, targets } = parseServiceWord(
    "blog,80=127.0.0.1:8080,443=[::1]:8443,22=unix:/run/ssh.sock,1=localhost:2",
  );
  assert.equal(name, "blog");
  assert.deepEqual([...targets], [
    [80, { type: "tcp", address: { host: "127.0.0.1", port: 8080 } }],
    [443, { type: "tcp", address: { host: "::1", port: 8443 } }],
    [22, { type: "unix", path: "/run/ssh.sock" }],
    [1, { type: "tcp", address: { host: "127.0.0.1", port: 2 } }],
  ]);
});

Deno.test("parseServiceWord() refuses what could mean something else, or nothing", () => {
  for (
    const word of [
      "",
      "blog",
      "blog,",
      "80=127.0.0.1:8080",
      "Blog,80=127.0.0.1:8080",
      "blog 80=127.0.0.1:8080",
      "../x,80=127.0.0.1:8080",
      `${"a".repeat(33)},80=127.0.0.1:8080`,
      "blog,80",
      "blog,=127.0.0.1:8080",
      "blog,-1=127.0.0.1:8080",
      "blog,0x50=127.0.0.1:8080",
      "blog,65536=127.0.0.1:8080",
      "blog,80=",
      "blog,80=example.com:80",
      "blog,80=127.0.0.1",
      "blog,80=127.0.0.1:8080,80=127.0.0.1:8081",
    ]
  ) assert.throws(() => parseServiceWord(word), { name: "ConfigError" }, word);
});

Deno.test("withClients() gives each service its clients, and refuses those of none", () => {
  const services = ["a", "b"].map((name) =>
    parseServiceWord(`${name},80=127.0.0.1:8080`)
  );
  const client = parseClientWord(`b=${KEY}`);
  const [first, second] = withClients(services, [client, client]);
  assert.equal(first?.clients, undefined);
  assert.equal(second?.clients?.length, 2);
  assert.throws(() => withClients(services, [parseClientWord(`c=${KEY}`)]), {
    code: "cli.client_word",
  });
  for (const word of ["", "b", `=${KEY}`, "b=", `b=${KEY.slice(1)}`, KEY]) {
    assert.throws(() => parseClientWord(word), { name: "ConfigError" }, word);
  }
});

Deno.test("withProxyProtocol() marks services by name, and refuses those that are not there", () => {
  const services = ["a", "b"].map((name) =>
    parseServiceWord(`${name},80=127.0.0.1:8080`)
  );
  assert.deepEqual(
    withProxyProtocol(services, ["b"]).map(({ proxyProtocol }) =>
      proxyProtocol
    ),
    [undefined, true],
  );
  assert.throws(() => withProxyProtocol(services, ["c"]), {
    code: "cli.proxy_protocol",
  });
});

Deno.test("parseMaxStreams() takes whole numbers from 1 to 4,096", () => {
  assert.deepEqual(["1", "0064", "4096"].map(parseMaxStreams), [1, 64, 4096]);
  for (const text of ["", "0", "-1", "4097", "1.5", "1e3", "many", " 8"]) {
    assert.throws(() => parseMaxStreams(text), {
      code: "service.max_streams",
      message: /from 1 to 4096/,
    }, text);
  }
});

Deno.test("withMaxStreams() limits services by name, and refuses those that are not there or named twice", () => {
  const services = ["a", "b"].map((name) =>
    parseServiceWord(`${name},80=127.0.0.1:8080`)
  );
  const limit = (...words: string[]) =>
    withMaxStreams(services, words.map(parseMaxStreamsWord))
      .map(({ maxStreams }) => maxStreams);
  assert.deepEqual(limit("b=8"), [undefined, 8]);
  for (const words of [["c=8"], ["a=8", "a=9"], ["8"]]) {
    assert.throws(() => limit(...words), { code: "cli.max_streams" });
  }
  assert.throws(() => limit("a=0"), { code: "service.max_streams" });
  assert.throws(() => limit("A b=8"), { code: "service.name" });
});

Deno.test("withPublic() opens the services it names, and none that is for some clients alone", () => {
  const services = ["a", "b"].map((name) =>
    parseServiceWord(`${name},80=127.0.0.1:8080`)
  );
  assert.deepEqual(
    withPublic(services, ["b"]).map(({ isPublic }) => isPublic),
    [undefined, true],
  );
  const some = withClients(services, [parseClientWord(`b=${KEY}`)]);
  for (const name of ["b", "c"]) {
    assert.throws(() => withPublic(some, [name]), { code: "cli.public" });
  }
});
