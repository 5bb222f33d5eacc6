import assert from "node:assert/strict";
import { ConfigError } from "../../../lib/base/errors.ts";
import {
  formatStreamTarget,
  MAX_TARGETS,
  parseStreamTarget,
  parseStreamTargets,
} from "../../../lib/node/host/stream_target.ts";

Deno.test("parseStreamTarget() reads what operators write, and formatting gives it back", () => {
  const texts = [
    "127.0.0.1:8080",
    "[::1]:8080",
    "10.0.0.7:1",
    "unix:/run/site.sock",
    "unix:relative/path with space",
  ];
  for (const text of texts) {
    assert.equal(formatStreamTarget(parseStreamTarget(text)), text);
  }
  assert.equal(
    formatStreamTarget(parseStreamTarget("localhost:80")),
    "127.0.0.1:80",
  );
  const handler = { type: "handler", handle: () => Promise.resolve() } as const;
  assert.equal(formatStreamTarget(handler), "handler");
});

Deno.test("parseStreamTarget() refuses what leads nowhere, and says what to write", () => {
  const texts = [
    "",
    "8080",
    "127.0.0.1",
    "127.0.0.1:",
    "127.0.0.1:0",
    "127.0.0.1:65536",
    "example.com:80",
    "localhost.example.com:80",
    "http://127.0.0.1:80",
    "unix:",
    "::1:8080",
    "127.0.0.1:80:80",
  ];
  for (const text of texts) {
    assert.throws(
      () => parseStreamTarget(text),
      (error) =>
        error instanceof ConfigError && error.code === "service.target" &&
        error.message.includes("127.0.0.1:8080"),
      text,
    );
  }
});

Deno.test("parseStreamTargets() reads each port once, at least one, and no more than fit", () => {
  const words = (count: number) =>
    Array.from({ length: count }, (_, n) => `${n + 1}=127.0.0.1:8080`);
  assert.equal(parseStreamTargets(words(MAX_TARGETS)).size, MAX_TARGETS);
  for (
    const [given, code] of [
      [[], "service.no_ports"],
      [["80=127.0.0.1:1", "80=127.0.0.1:2"], "service.port"],
      [["80=127.0.0.1:1", "080=127.0.0.1:2"], "service.port"],
      [words(MAX_TARGETS + 1), "service.port"],
      [["0=127.0.0.1:1"], "service.port"],
      [["65536=127.0.0.1:1"], "service.port"],
      [["80:127.0.0.1:1"], "service.port"],
      [["80"], "service.port"],
      [["80=example.com:1"], "service.target"],
    ] as const
  ) {
    assert.throws(() => parseStreamTargets(given), {
      name: "ConfigError",
      code,
    }, given.join());
  }
});
