import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { seededRandom } from "../../lib/base/random.ts";
import { Identity } from "../../lib/auth/identity.ts";
import { nativeSuite } from "../../lib/crypto/native.ts";
import {
  createLeaf,
  SERVER_NAME,
  trustAnchor,
} from "../../lib/transport/certificate.ts";

const suite = nativeSuite();
const identity = Identity.generate(suite, seededRandom(1));
const stranger = Identity.generate(suite, seededRandom(2));

/** node:crypto parses and verifies X.509 with OpenSSL, which is not what built it. */
function read(pem: string): X509Certificate {
  return new X509Certificate(pem);
}

Deno.test("trustAnchor() is a certificate authority with the peer's key", () => {
  const anchor = read(trustAnchor(identity.publicKey));
  assert.equal(anchor.ca, true);
  assert.equal(anchor.subject, "CN=localhost");
  assert.equal(anchor.issuer, "CN=localhost");
  assert.equal(anchor.publicKey.asymmetricKeyType, "ed25519");
  const { x } = anchor.publicKey.export({ format: "jwk" });
  assert.deepEqual(
    Uint8Array.fromBase64(x ?? "", { alphabet: "base64url" }),
    identity.publicKey,
  );
});

Deno.test("trustAnchor() differs each time, so that no session is resumed", () => {
  const anchors = Array.from(
    { length: 50 },
    () => trustAnchor(identity.publicKey),
  );
  assert.equal(new Set(anchors).size, 50);
});

Deno.test("trustAnchor() keeps the keys of several peers apart", () => {
  for (const seed of [3, 4, 5]) {
    const { publicKey } = Identity.generate(suite, seededRandom(seed));
    const { raw } = read(trustAnchor(publicKey));
    assert(raw.toString("hex").includes(publicKey.toHex()));
  }
});

Deno.test("createLeaf() makes a leaf that the identity's anchor issued", async () => {
  const leaf = read((await createLeaf(suite, identity)).certificate);
  const anchor = read(trustAnchor(identity.publicKey));
  assert.equal(leaf.checkIssued(anchor), true);
  assert.equal(leaf.verify(anchor.publicKey), true);
});

Deno.test("createLeaf() makes a leaf that no other identity's anchor verifies", async () => {
  const leaf = read((await createLeaf(suite, identity)).certificate);
  const other = read(trustAnchor(stranger.publicKey));
  assert.equal(leaf.verify(other.publicKey), false);
});

Deno.test("createLeaf() names the constant server and no identity", async () => {
  const { certificate } = await createLeaf(suite, identity);
  const leaf = read(certificate);
  assert.equal(leaf.subjectAltName, `IP Address:${SERVER_NAME}`);
  assert.equal(leaf.checkIP(SERVER_NAME), SERVER_NAME);
  assert.equal(leaf.checkIP("192.0.2.2"), undefined);
  assert(!leaf.subject);
  const key = identity.publicKey.toHex();
  assert(!leaf.raw.toString("hex").includes(key));
});

Deno.test("createLeaf() makes an end entity for TLS servers alone", async () => {
  const leaf = read((await createLeaf(suite, identity)).certificate);
  assert.equal(leaf.ca, false);
  assert.equal(leaf.publicKey.asymmetricKeyType, "ec");
  const extendedKeyUsage = "0603551d25"; // 2.5.29.37
  const serverAuth = "06082b06010505070301"; // 1.3.6.1.5.5.7.3.1
  const der = leaf.raw.toString("hex");
  assert.match(der, new RegExp(`${extendedKeyUsage}.{4,20}${serverAuth}`));
});

Deno.test("createLeaf() is valid for any clock", async () => {
  const leaf = read((await createLeaf(suite, identity)).certificate);
  assert.equal(Date.parse(leaf.validFrom), 0);
  assert.equal(Date.parse(leaf.validTo), Date.UTC(9999, 11, 31, 23, 59, 59));
});

Deno.test("createLeaf() makes a fresh key each time, and its private half", async () => {
  const [one, other] = [
    await createLeaf(suite, identity),
    await createLeaf(suite, identity),
  ];
  assert.notEqual(one.privateKey, other.privateKey);
  assert.notEqual(
    read(one.certificate).serialNumber,
    read(other.certificate).serialNumber,
  );
  const pkcs8 = Uint8Array.fromBase64(
    one.privateKey.replace(/-----.*-----/g, "").replace(/\s/g, ""),
  );
  const key = await crypto.subtle.importKey(
    "pkcs8",
    pkcs8,
    { name: "ECDSA", namedCurve: "P-256" },
    false,
    ["sign"],
  );
  const algorithm = { name: "ECDSA", hash: "SHA-256" };
  const message = Uint8Array.of(1, 2, 3);
  const signature = await crypto.subtle.sign(algorithm, key, message);
  const spki = read(one.certificate).publicKey
    .export({ type: "spki", format: "der" });
  const publicKey = await crypto.subtle.importKey(
    "spki",
    new Uint8Array(spki),
    { name: "ECDSA", namedCurve: "P-256" },
    false,
    ["verify"],
  );
  assert(await crypto.subtle.verify(algorithm, publicKey, signature, message));
});

Deno.test("createLeaf() breaks its signature with any changed byte", async () => {
  const leaf = read((await createLeaf(suite, identity)).certificate);
  const anchor = read(trustAnchor(identity.publicKey));
  let refused = 0;
  for (let at = 0; at < leaf.raw.length; at += 7) {
    const changed = new Uint8Array(leaf.raw);
    changed[at] = (changed[at] ?? 0) ^ 0x01;
    try {
      assert.equal(
        new X509Certificate(changed).verify(anchor.publicKey),
        false,
        `byte ${at}`,
      );
    } catch (error) {
      // Not even a certificate any more.
      if (error instanceof assert.AssertionError) throw error;
    }
    refused++;
  }
  assert(refused > 40);
});
