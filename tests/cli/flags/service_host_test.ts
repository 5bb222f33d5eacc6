import assert from "node:assert/strict";
import { serviceHostIn } from "../../../lib/cli/flags/service_host.ts";

const LABEL = "a2".repeat(28);

Deno.test("serviceHostIn() finds the host in what a browser shows, and completes a bare address", () => {
  const host = `${LABEL}.anon`;
  for (
    const word of [
      host,
      LABEL,
      ` ${host}\n`,
      `http://${host}`,
      `HTTP://${host}/`,
      `https://${host}:8443/a/b?c=d#e`,
      `${host}:80`,
      `${host}/index.html`,
      `http://${LABEL}/`,
    ]
  ) assert.equal(serviceHostIn(word), host, word);
  assert.equal(serviceHostIn(`http://www.${host}/`), `www.${host}`);
  assert.equal(
    serviceHostIn(LABEL.toUpperCase()),
    `${LABEL.toUpperCase()}.anon`,
  );
});

Deno.test("serviceHostIn() leaves what is no address to those who refuse it", () => {
  for (
    const [word, host] of [
      ["", ""],
      ["http://", ""],
      ["example.com", "example.com"],
      [`user@${LABEL}.anon`, `user@${LABEL}.anon`],
      [LABEL.slice(1), LABEL.slice(1)],
    ] as const
  ) assert.equal(serviceHostIn(word), host, word);
});
