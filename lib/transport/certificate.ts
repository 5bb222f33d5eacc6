/**
 * X.509 for QUIC's TLS: a trust anchor made of a peer's public key alone, and a
 * leaf signed by our own identity.
 *
 *     anchor  CN=localhost, Ed25519 key of the peer, CA:TRUE     signature: any bytes
 *       │ issued
 *     leaf    no subject, fresh P-256 key, CA:FALSE, serverAuth  signature: Ed25519
 *             IP:192.0.2.1                                       by the identity
 *
 * Verifiers take name and key of an anchor and never look at its signature (RFC
 * 5280 §6.1.1 d), so a program that knows a public key can build the anchor for it. TLS
 * then proves that the answering side holds the identity. Encoding is `asn1js`'s.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc5280#section-4.1 | RFC 5280 §4.1},
 * {@link https://www.rfc-editor.org/rfc/rfc8410 | RFC 8410}; protocol §3.1 "Transport"
 * @module
 */
import * as asn1 from "asn1js";
import { type Bytes, equalBytes } from "../base/bytes.ts";
import { BugError } from "../base/errors.ts";
import type { Identity, PublicKey } from "../auth/identity.ts";
import { parseIp } from "../auth/socket_address.ts";
import { ED25519_KEY_BYTES, SIGNATURE_BYTES } from "../crypto/suite.ts";
import type { CryptoSuite, Signer } from "../crypto/suite.ts";

// Protocol: change one and we no longer understand each other.

/**
 * The address in every leaf, and the server name of every dial. A ClientHello
 * carries no name when the server's is an address (RFC 6066 §3), so an observer
 * reads none. It is one of those reserved for documentation (RFC 5737), since
 * public CAs stay trusted beside our anchor and none of them may certify it.
 */
export const SERVER_NAME = "192.0.2.1";

/** Name of anchor and issuer: one that many test servers have, and none of ours. */
const ISSUER = "localhost";

const OID = {
  ed25519: "1.3.101.112",
  commonName: "2.5.4.3",
  keyUsage: "2.5.29.15",
  subjectAltName: "2.5.29.17",
  basicConstraints: "2.5.29.19",
  extendedKeyUsage: "2.5.29.37",
  serverAuth: "1.3.6.1.5.5.7.3.1",
} as const;

/** Bytes of a serial number; RFC 5280 §4.1.2.2 allows 20. */
const SERIAL_BYTES = 16;

/** A TLS key with its certificate, both PEM. */
export interface Leaf {
  readonly certificate: string;
  /** PKCS #8. A secret, though one that lives no longer than the endpoint. */
  readonly privateKey: string;
}

/**
 * The anchor under which only the holder of `publicKey` can answer, PEM.
 *
 * No two are alike: the runtime resumes TLS sessions under an anchor it has seen
 * on the same endpoint, and a ticket would tie together the throw-away
 * identities of a client. With bytes of chance for a signature, every handshake
 * is a full one.
 */
export function trustAnchor(publicKey: PublicKey): string {
  // Encoding costs 150 µs, so only the first is encoded.
  const { der, keyOffset } = anchorTemplate ??= encodeAnchor();
  const anchor = der.slice();
  anchor.set(publicKey, keyOffset);
  crypto.getRandomValues(anchor.subarray(-SIGNATURE_BYTES));
  return pem("CERTIFICATE", anchor);
}

interface AnchorTemplate {
  /** The whole certificate; its last bytes are the signature. */
  readonly der: Bytes;
  /** Where the public key lies. */
  readonly keyOffset: number;
}

let anchorTemplate: AnchorTemplate | undefined;

function encodeAnchor(): AnchorTemplate {
  const marker = crypto.getRandomValues(new Uint8Array(ED25519_KEY_BYTES));
  const keyInfo = sequence(sequence(oid(OID.ed25519)), bits(marker));
  const constraints = extension(
    OID.basicConstraints,
    sequence(new asn1.Boolean({ value: true })),
  );
  const der = certificate(distinguishedName(ISSUER), keyInfo, [constraints], {
    sign: () => new Uint8Array(SIGNATURE_BYTES),
  });
  const keyOffset = der.findIndex((_, at) =>
    equalBytes(der.subarray(at, at + marker.length), marker)
  );
  return { der, keyOffset };
}

/** A fresh TLS key and a leaf for it, signed by `identity`. About 1 ms. */
export async function createLeaf(
  suite: CryptoSuite,
  identity: Identity,
): Promise<Leaf> {
  const pair = await crypto.subtle.generateKey(
    { name: "ECDSA", namedCurve: "P-256" },
    true,
    ["sign", "verify"],
  );
  const spki = await crypto.subtle.exportKey("spki", pair.publicKey);
  const pkcs8 = await crypto.subtle.exportKey("pkcs8", pair.privateKey);
  const extensions = [
    extension(OID.basicConstraints, sequence()),
    extension(
      OID.keyUsage, // bit 0: digitalSignature
      new asn1.BitString({ valueHex: Uint8Array.of(0x80), unusedBits: 7 }),
    ),
    extension(OID.extendedKeyUsage, sequence(oid(OID.serverAuth))),
    extension(OID.subjectAltName, sequence(ipAddress(SERVER_NAME))),
  ];
  const seed = identity.exportSeed();
  try {
    return {
      certificate: pem(
        "CERTIFICATE",
        certificate(
          sequence(),
          asn1.fromBER(spki).result,
          extensions,
          suite.signer(seed),
        ),
      ),
      privateKey: pem("PRIVATE KEY", new Uint8Array(pkcs8)),
    };
  } finally {
    seed.fill(0);
    new Uint8Array(pkcs8).fill(0);
  }
}

/**
 * A certificate issued by `localhost`, DER. Valid from 1970 to the end of 9999,
 * RFC 5280's date for "no end" (§4.1.2.5): a node must be reachable for peers
 * whose clocks are wrong, and the identity key itself knows no date.
 */
function certificate(
  subject: asn1.Sequence,
  keyInfo: asn1.AsnType,
  extensions: asn1.Sequence[],
  signer: Pick<Signer, "sign">,
): Bytes {
  const toBeSigned = sequence(
    tagged(0, new asn1.Integer({ value: 2 })), // X.509 v3
    serialNumber(),
    sequence(oid(OID.ed25519)),
    distinguishedName(ISSUER),
    sequence(
      new asn1.UTCTime({ valueDate: new Date(0) }),
      new asn1.GeneralizedTime({
        valueDate: new Date("9999-12-31T23:59:59Z"),
      }),
    ),
    subject,
    keyInfo,
    tagged(3, sequence(...extensions)),
  );
  const signature = signer.sign(new Uint8Array(toBeSigned.toBER()));
  return new Uint8Array(
    sequence(toBeSigned, sequence(oid(OID.ed25519)), bits(signature)).toBER(),
  );
}

function serialNumber(): asn1.Integer {
  const bytes = crypto.getRandomValues(new Uint8Array(SERIAL_BYTES));
  // A leading 01…7f: positive, and as short as DER wants it.
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x01;
  return new asn1.Integer({ valueHex: bytes });
}

function distinguishedName(commonName: string): asn1.Sequence {
  const attribute = sequence(
    oid(OID.commonName),
    new asn1.Utf8String({ value: commonName }),
  );
  return sequence(new asn1.Set({ value: [attribute] }));
}

/** An extension, critical: a verifier that does not know it must refuse. */
function extension(id: string, value: asn1.AsnType): asn1.Sequence {
  return sequence(
    oid(id),
    new asn1.Boolean({ value: true }),
    new asn1.OctetString({ valueHex: value.toBER() }),
  );
}

/** `iPAddress`, choice 7 of GeneralName, an implicitly tagged OctetString. */
function ipAddress(literal: string): asn1.Primitive {
  const valueHex = parseIp(literal);
  if (valueHex === undefined) throw new BugError("transport.ip", literal);
  return new asn1.Primitive({
    idBlock: { tagClass: CONTEXT_SPECIFIC, tagNumber: 7 },
    valueHex,
  });
}

const CONTEXT_SPECIFIC = 3;

function tagged(tagNumber: number, value: asn1.AsnType): asn1.Constructed {
  return new asn1.Constructed({
    idBlock: { tagClass: CONTEXT_SPECIFIC, tagNumber },
    value: [value],
  });
}

function sequence(...value: asn1.AsnType[]): asn1.Sequence {
  return new asn1.Sequence({ value });
}

function oid(value: string): asn1.ObjectIdentifier {
  return new asn1.ObjectIdentifier({ value });
}

function bits(bytes: Uint8Array): asn1.BitString {
  return new asn1.BitString({ valueHex: bytes });
}

function pem(label: string, der: Bytes): string {
  const lines = der.toBase64().replace(/.{64}/g, "$&\n");
  return `-----BEGIN ${label}-----\n${lines.trimEnd()}\n-----END ${label}-----\n`;
}
