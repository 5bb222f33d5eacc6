/**
 * Rosters: which hosts a service has, for those who know its address.
 *
 *     roster    { hosts: [{ key, slot }], issue, period, revision }
 *
 * A roster stands where the descriptor of a service with one host would: under A', in
 * the same places, sealed the same way and as long. Each host has a descriptor of its
 * own, under its key of the period, and to who stores them they are descriptors of
 * unrelated services. A key that is not in the roster is no host's, whatever it signs.
 *
 * @see protocol §7.8 "Several hosts"
 * @module
 */
import { asPublicKey, type PublicKey } from "../../auth/identity.ts";
import { type Bytes, equalBytes } from "../../base/bytes.ts";
import { type CryptoSuite, ED25519_KEY_BYTES } from "../../crypto/suite.ts";
import { encodeCbor } from "../../wire/cbor.ts";
import { decodeFields, type Fields } from "../../wire/fields.ts";
import { type DescriptorContent, readContent } from "../descriptor.ts";
import {
  DESCRIPTOR_STEP_BYTES,
  descriptorError,
  type DescriptorName,
  openDescriptor,
  sealDescriptor,
} from "../descriptor_box.ts";
import { issueOf, MAX_ISSUE } from "./issue.ts";

/** Most hosts of a service. */
export const MAX_HOSTS = 8;
/** As long as a descriptor that names three introduction points. */
const ROSTER_BYTES = 2 * DESCRIPTOR_STEP_BYTES;

/** One host of a service. */
export interface RosterHost {
  /** Its number, 1 to {@linkcode MAX_HOSTS}: the same in all periods. */
  readonly slot: number;
  /** The key that its descriptor of this period is under. */
  readonly key: PublicKey;
}

/** What a roster says. */
export interface Roster {
  /** Which delegation it is of: the highest counts. */
  readonly issue: number;
  /** At least one, by slot. */
  readonly hosts: readonly RosterHost[];
}

/** What is under the key of a service: where it is, or who hosts it. */
export type ServiceRecord =
  | {
    readonly type: "descriptor";
    readonly issue: number;
    readonly content: DescriptorContent;
  }
  | {
    readonly type: "roster";
    readonly issue: number;
    readonly hosts: readonly RosterHost[];
  };

/**
 * Encrypt a roster. The same input gives the same bytes.
 *
 * @param salt 16 bytes, another for each revision.
 */
export function encodeRoster(
  crypto: CryptoSuite,
  name: DescriptorName,
  { hosts, issue }: Roster,
  salt: Uint8Array,
): Bytes {
  const { period, revision } = name;
  const inner = encodeCbor({
    hosts: hosts.map(({ key, slot }) => ({ key, slot })),
    issue,
    period,
    revision,
  });
  return sealDescriptor(crypto, name, inner, {
    salt,
    leastBytes: ROSTER_BYTES,
  });
}

/**
 * Decrypt what is under the key of a service.
 *
 * @throws {ProtocolError} as `decodeDescriptor`.
 */
export function decodeServiceRecord(
  crypto: CryptoSuite,
  name: DescriptorName,
  value: Uint8Array,
  clientSecret?: Bytes,
): ServiceRecord {
  const inner = openDescriptor(crypto, name, value, clientSecret);
  const fields = decodeFields(inner, "descriptor content");
  if (fields.has("hosts")) {
    return { type: "roster", ...readRoster(fields, name) };
  }
  const content = readContent(fields, name);
  const issue = issueOf(content.features);
  return { type: "descriptor", issue, content };
}

function readRoster(fields: Fields, name: DescriptorName): Roster {
  const issue = fields.uint("issue", MAX_ISSUE);
  const period = fields.uint("period");
  const revision = fields.uint("revision");
  const hosts = fields.mapArray("hosts", MAX_HOSTS).map((host) => {
    const read = {
      key: asPublicKey(host.bytes("key", { length: ED25519_KEY_BYTES })),
      slot: host.uint("slot", MAX_HOSTS),
    };
    host.finish();
    return read;
  });
  fields.finish();
  if (period !== name.period || revision !== name.revision) {
    throw descriptorError(
      "content",
      "with dates that contradict its signature",
    );
  }
  checkHosts(hosts, name);
  return { issue, hosts };
}

function checkHosts(
  hosts: readonly RosterHost[],
  { blinded }: DescriptorName,
): void {
  if (hosts.length === 0) throw descriptorError("content", "without hosts");
  let last = 0;
  const keys: PublicKey[] = [blinded];
  for (const { slot, key } of hosts) {
    const isTwice = keys.some((other) => equalBytes(other, key));
    if (slot <= last || isTwice) {
      throw descriptorError("content", "whose hosts are not told apart");
    }
    last = slot;
    keys.push(key);
  }
}
