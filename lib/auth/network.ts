/**
 * What all nodes of one network agree on. Change a value here and nodes of the
 * old and the new program no longer understand each other; what only makes a
 * node slower or larger stands beside the code that it tunes.
 *
 * The name is part of every link's transcript and of every record: two networks
 * never talk.
 *
 * @see protocol §2.5 "Networks"
 * @module
 */
import { ConfigError } from "../base/errors.ts";

const SECOND_MS = 1000;
const HOUR_MS = 3600 * SECOND_MS;
const DAY_MS = 24 * HOUR_MS;

/** The same in every network of protocol version 1. */
export const PROTOCOL = {
  /** Protocol version. */
  version: 1,
  /** What TLS negotiates, readable on the wire: the name of HTTP/3, and none of ours. */
  alpn: "h3",

  // Identity, §2
  /** Longest encoded node record, in bytes. */
  maxNodeRecordBytes: 1024,
  /** Most addresses in one node record. */
  maxAddresses: 4,
  /** Longest life of a node record: expiry − sequence. */
  maxNodeRecordLifeMs: DAY_MS,
  /** How far in the future a date may lie before it is refused. */
  maxClockSkewMs: HOUR_MS,
  /** How often a relay makes itself a new onion key. */
  onionKeyLifeMs: 7 * DAY_MS,
  /** How long the key before it is still accepted. */
  onionKeyGraceMs: DAY_MS,

  // Links, §3
  /** From the first byte of a link to its `Welcome`. */
  linkHandshakeMs: 10 * SECOND_MS,
  /** From an RPC's request to its response. */
  rpcMs: 10 * SECOND_MS,

  // DHT, §4
  /** Contacts in a bucket, and copies of a record. */
  k: 20,
  /** Requests that one path of a look-up has under way. */
  alpha: 3,
  /** Disjoint paths of a look-up. */
  disjointPaths: 3,
  /** Places where a self-certifying record may be stored. */
  recordReplicas: 8,
  /** Longest value of a stored record, in bytes. */
  maxRecordValueBytes: 16 * 1024,
  /** Longest life of a stored record. */
  maxRecordLifeMs: DAY_MS,
  /** Publishers that may write under one key. */
  maxPublishers: 20,

  // Circuits, §5
  /** Most hops of a circuit. */
  maxHops: 8,
} as const;

/** Where networks differ. */
export interface NetworkTraits {
  /** 1 to 32 characters of `a-z`, `0-9` and `-`. */
  readonly name: string;
  /** Leading zero bits that the proof of work of an identity shows, 0 to 32. */
  readonly powDifficulty: number;
  /** Whether nodes may have addresses that the Internet does not route. */
  readonly allowPrivateAddresses: boolean;
}

/** Every parameter of one network, frozen. */
export type NetworkParameters =
  & Readonly<typeof PROTOCOL>
  & NetworkTraits;

/**
 * The parameters of a network of one's own, for embedding programs, tests and
 * simulations.
 *
 * @throws {RangeError} for a name or a difficulty out of range.
 */
export function customNetwork(traits: NetworkTraits): NetworkParameters {
  const { name, powDifficulty, allowPrivateAddresses } = traits;
  if (!isNetworkName(name)) {
    throw new RangeError("Cannot make a network: 1 to 32 of a-z, 0-9 and -");
  }
  if (
    !Number.isInteger(powDifficulty) || powDifficulty < 0 || powDifficulty > 32
  ) {
    throw new RangeError(`Cannot make a network: difficulty ${powDifficulty}`);
  }
  return Object.freeze({
    ...PROTOCOL,
    name,
    powDifficulty,
    allowPrivateAddresses,
  });
}

/** Whether `name` can be a network's: it stands in transcripts and in records. */
function isNetworkName(name: string): boolean {
  return /^[a-z0-9-]{1,32}$/.test(name);
}

/** The public network. Its work takes one core about 40 s, once per identity. */
const MAIN = customNetwork({
  name: "main",
  powDifficulty: 12,
  allowPrivateAddresses: false,
});

/** A network on one machine or at home: for trying out, and for tests. */
const LOCAL = customNetwork({
  name: "local",
  powDifficulty: 0,
  allowPrivateAddresses: true,
});

/** A built-in network, `main` or `local`; `undefined` for any other name. */
export function wellKnownNetwork(name: string): NetworkParameters | undefined {
  return [MAIN, LOCAL].find((network) => network.name === name);
}

/** Whether two networks are one by all that their nodes agree on. */
export function sameTraits(one: NetworkTraits, other: NetworkTraits): boolean {
  return one.name === other.name &&
    one.powDifficulty === other.powDifficulty &&
    one.allowPrivateAddresses === other.allowPrivateAddresses;
}

/**
 * A built-in network: `main` or `local`.
 *
 * @throws {ConfigError} `auth.unknown_network` for any other name; the message names these two.
 */
export function networkParameters(name: string): NetworkParameters {
  const known = wellKnownNetwork(name);
  if (known !== undefined) return known;
  throw new ConfigError(
    "auth.unknown_network",
    `Cannot join network "${
      name.slice(0, 40)
    }": choose ${MAIN.name} or ${LOCAL.name}; others are joined by an invite`,
  );
}
