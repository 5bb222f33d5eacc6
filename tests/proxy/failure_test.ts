import assert from "node:assert/strict";
import {
  BugError,
  ConfigError,
  ProtocolError,
  UnreachableError,
} from "../../lib/base/errors.ts";
import { nativeSuite } from "../../lib/crypto/native.ts";
import { parseServiceHost } from "../../lib/service/address.ts";
import { describeFailure, isOwnFault } from "../../lib/proxy/failure.ts";

/** The rows of protocol §8.2 "Errors": codes, and what its columns say. */
async function specifiedRows(): Promise<string[][]> {
  const url = new URL("../../docs/protocol.md", import.meta.url);
  const [, section = ""] = /^### 8\.2 Errors$([^]*?)^### /m.exec(
    await Deno.readTextFile(url),
  ) ?? [];
  return section.split("\n")
    .filter((line) => line.startsWith("|"))
    .slice(2)
    .map((line) => line.split("|").slice(1, -1).map((cell) => cell.trim()));
}

Deno.test('describeFailure() says what protocol §8.2 "Errors" says', async () => {
  let checked = 0;
  for (
    const [codeCell = "", reply, extended, status = ""] of await specifiedRows()
  ) {
    const statuses = status.split(", ");
    const codes = [...codeCell.matchAll(/`([a-z_.]+)(\*?)`/g)];
    for (const [i, [, code = "", star]] of codes.entries()) {
      const full = star === "*" ? `${code}any` : code;
      const failure = describeFailure(new ProtocolError(full, "x"));
      const hex = (byte: number | undefined) =>
        byte === undefined ? "" : `0x${byte.toString(16).padStart(2, "0")}`;
      if (reply !== "") assert.equal(hex(failure.reply), reply, full);
      assert.equal(hex(failure.extended), extended, full);
      const wanted = statuses[i] ?? statuses[0];
      if (wanted !== "") assert.equal(String(failure.status), wanted, full);
      checked++;
    }
  }
  assert.ok(checked >= 25, `${checked} codes`);
});

Deno.test("describeFailure() takes errors without a row by their class", () => {
  for (
    const [error, code] of [
      [new UnreachableError("circuit.extend", ""), "service.unreachable"],
      [new ProtocolError("session.frame", ""), "service.unreachable"],
      [new ConfigError("service.address_suffix", ""), "service.address_suffix"],
      [new ProtocolError("http.anything", ""), "http.anything"],
      [new ConfigError("node.config", ""), "proxy.failed"],
      [new BugError("x.y", ""), "proxy.failed"],
      [new TypeError("x"), "proxy.failed"],
      [undefined, "proxy.failed"],
    ] as const
  ) assert.equal(describeFailure(error).code, code);
});

Deno.test("describeFailure() tells in the words of this node why no circuit can be built", () => {
  const why =
    "Too few relays answer: 7 relays known, 4 of them silent, 4 needed";
  const failure = describeFailure(
    new UnreachableError("path.too_few_relays", why),
  );
  assert.equal(failure.code, "path.too_few_relays");
  assert.ok(failure.text.startsWith(`${why}. This node goes on trying`));
});

Deno.test("describeFailure() says what is wrong with an address, and repeats nothing of it", () => {
  const crypto = nativeSuite();
  const good = "a".repeat(56);
  for (
    const [label, words] of [
      ["abc", /it has 3 characters where 56 belong/],
      [good.replace("a", "8"), /only letters and the digits 2 to 7/],
      [good, /its check does not match/],
    ] as const
  ) {
    try {
      parseServiceHost(crypto, `${label}.anon`);
      assert.fail(label);
    } catch (error) {
      const { status, text } = describeFailure(error);
      assert.equal(status, 400);
      assert.match(text, words);
      assert.match(text, /Copy the address again, whole\.$/);
      assert.ok(!text.includes(label), text);
    }
  }
});

Deno.test("describeFailure() names all pages of the proxy to who asks for another one", () => {
  const { text } = describeFailure(new ProtocolError("http.not_found", ""));
  for (const page of ["/strict.pac", "/proxy.pac", "/wpad.dat"]) {
    assert.ok(text.includes(page), text);
  }
  assert.doesNotMatch(text, /two/);
});

Deno.test("isOwnFault() blames neither clients nor services nor the network", () => {
  for (
    const error of [
      new ProtocolError("http.field", ""),
      new UnreachableError("service.refused", ""),
      new ConfigError("service.address_checksum", ""),
    ]
  ) assert.equal(isOwnFault(error), false);
  for (const error of [new BugError("x.y", ""), new TypeError(), "text"]) {
    assert.equal(isOwnFault(error), true);
  }
});
