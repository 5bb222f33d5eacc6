import assert from "node:assert/strict";
import fc from "fast-check";
import { ConfigError } from "../../lib/base/errors.ts";
import {
  formatNodeAddress,
  parseNodeAddress,
} from "../../lib/auth/node_address.ts";
import { formatIp } from "../../lib/auth/socket_address.ts";
import vector from "../vectors/node_record.json" with { type: "json" };

Deno.test("parseNodeAddress() undoes formatNodeAddress()", () => {
  const key = fc.uint8Array({ minLength: 32, maxLength: 32 });
  const ip = fc.oneof(
    fc.uint8Array({ minLength: 4, maxLength: 4 }),
    fc.uint8Array({ minLength: 16, maxLength: 16 }),
  );
  const port = fc.integer({ min: 1, max: 65535 });
  fc.assert(fc.property(key, ip, port, (bytes, host, port) => {
    const node = {
      publicKey: new Uint8Array(bytes),
      address: { host: formatIp(host), port },
    };
    assert.deepEqual(parseNodeAddress(formatNodeAddress(node)), node);
  }));
});

Deno.test("formatNodeAddress() writes what RFC 4648 says of the key", () => {
  const publicKey = Uint8Array.fromHex(vector.publicKey);
  assert.equal(
    formatNodeAddress({ publicKey, address: { host: "::1", port: 4001 } }),
    "anon://aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4a@[::1]:4001",
  );
});

Deno.test("parseNodeAddress() takes the key in either case", () => {
  const text =
    "anon://aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4a@192.0.2.7:4001";
  const upper = text.replace(
    "aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4a",
    "aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4a".toUpperCase(),
  );
  assert.deepEqual(parseNodeAddress(upper), parseNodeAddress(text));
  assert.equal(parseNodeAddress(text).publicKey.toHex(), vector.publicKey);
});

Deno.test("parseNodeAddress() says which part is wrong", () => {
  const key = "aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4a";
  const bad: [text: string, why: RegExp][] = [
    ["", /begin with anon/],
    [`${key}@1.2.3.4:5`, /begin with anon/],
    [`ANON://${key}@1.2.3.4:5`, /begin with anon/],
    [`http://${key}@1.2.3.4:5`, /begin with anon/],
    [`anon:${key}@1.2.3.4:5`, /begin with anon/],
    [` anon://${key}@1.2.3.4:5`, /begin with anon/],
    [`anon://${key}`, /no @/],
    ["anon://@1.2.3.4:5", /0 characters, not 52/],
    [`anon://${key.slice(1)}@1.2.3.4:5`, /51 characters/],
    [`anon://${key}a@1.2.3.4:5`, /53 characters/],
    [`anon://${key.slice(1)}1@1.2.3.4:5`, /not base32/],
    [`anon://${key.slice(1)}=@1.2.3.4:5`, /not base32/],
    [`anon://${key.slice(0, 51)}b@1.2.3.4:5`, /not base32/], // unused bits set
    [`anon://${key}@`, /what follows the @/],
    [`anon://${key}@relay.example:5`, /IP literal/],
    [`anon://${key}@1.2.3.4`, /IP literal/],
    [`anon://${key}@1.2.3.4:0`, /port 0/],
    [`anon://${key}@1.2.3.4:65536`, /IP literal/],
    [`anon://${key}@::1:5`, /IP literal/],
    [`anon://${key}@1.2.3.4:5/`, /IP literal/],
    [`anon://${key}@1.2.3.4:5\n`, /IP literal/],
    [`anon://${key}@@1.2.3.4:5`, /IP literal/],
  ];
  for (const [text, why] of bad) {
    assert.throws(() => parseNodeAddress(text), (error) => {
      assert.ok(error instanceof ConfigError, text);
      assert.equal(error.code, "auth.node_address");
      assert.match(error.message, why);
      return true;
    });
  }
});

Deno.test("parseNodeAddress() gives an address or its one error", () => {
  const parts = fc.array(
    fc.constantFrom(
      "anon://",
      "aoqqpp7tzyil4hlq3umoos6atft6jvrqtosq2xy53sdgiesvgg4a",
      "@",
      "1.2.3.4",
      ":",
      "5",
      "[::1]",
      "a",
    ),
    { maxLength: 8 },
  );
  fc.assert(
    fc.property(parts, (list) => {
      const text = list.join("");
      try {
        assert.equal(formatNodeAddress(parseNodeAddress(text)), text);
      } catch (error) {
        assert.ok(error instanceof ConfigError, String(error));
      }
    }),
    { numRuns: 500 },
  );
});
