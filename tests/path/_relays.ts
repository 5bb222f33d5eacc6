/**
 * Relay lists for tests. The records are not signed: nothing in `path` looks.
 *
 * @module
 */
import { type Bytes, utf8 } from "../../lib/base/bytes.ts";
import { type Random, seededRandom } from "../../lib/base/random.ts";
import { nodeIdOf } from "../../lib/auth/identity.ts";
import {
  customNetwork,
  type NetworkParameters,
  networkParameters,
} from "../../lib/auth/network.ts";
import type { NodeRecord } from "../../lib/auth/node_record.ts";
import type { SocketAddress } from "../../lib/auth/socket_address.ts";
import { nativeSuite } from "../../lib/crypto/native.ts";
import { BandwidthWeights } from "../../lib/path/bandwidth_weights.ts";
import { GuardSet } from "../../lib/path/guard_set.ts";
import { Layer2Set } from "../../lib/path/layer2.ts";
import {
  PathSelector,
  type RelaySource,
} from "../../lib/path/path_selection.ts";
import { PathSubnets } from "../../lib/path/path_subnets.ts";
import { type RelayKey, relayKey } from "../../lib/path/relay_key.ts";
import { WeightedRelays } from "../../lib/path/weighted_relays.ts";
import { TEST_UNIX_MS } from "../support/nodes.ts";

export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;

/** A suite for node ids. */
export const CRYPTO = nativeSuite();

/** Where all relays may be on one machine. */
export const LOCAL = networkParameters("local");

/** Where subnets count, without work. */
export const PUBLIC = customNetwork({
  name: "test-public",
  powDifficulty: 0,
  allowPrivateAddresses: false,
});

/** Relay number `number`, each in a /16 of its own unless told otherwise. */
export function relay(
  number: number,
  changes: Partial<NodeRecord> = {},
): NodeRecord {
  const publicKey = seededRandom(number).bytes(32);
  return {
    network: "test",
    publicKey,
    nodeId: nodeIdOf(CRYPTO, publicKey),
    place: seededRandom(-number).bytes(32),
    onionKey: new Uint8Array(32),
    addresses: [ownSubnet(number)],
    flags: ["relay"],
    bandwidth: 10_000_000,
    sequence: TEST_UNIX_MS,
    // Longer than a real one lives: lists here need no refreshing.
    expiry: TEST_UNIX_MS + 1000 * DAY_MS,
    workNonce: new Uint8Array(16),
    signature: new Uint8Array(64),
    encoded: utf8(`relay ${number}`),
    ...changes,
  };
}

/** A public address whose /16 belongs to this number alone, up to 50,000. */
export function ownSubnet(number: number): SocketAddress {
  return {
    host: `${11 + Math.floor(number / 256) % 80}.${number % 256}.1.1`,
    port: 4001,
  };
}

/** Relays number `first` to `first + count - 1`. */
export function relays(count: number, first = 1): NodeRecord[] {
  return Array.from({ length: count }, (_, index) => relay(first + index));
}

/** The same, as what is drawn from. */
export function weighted(
  records: readonly NodeRecord[],
  network: NetworkParameters = PUBLIC,
  weights = new BandwidthWeights(),
): WeightedRelays {
  return new WeightedRelays(records, {
    subnets: new PathSubnets(network),
    weights,
    unixMs: TEST_UNIX_MS,
  });
}

/** A relay list that tests change. */
export class TestRelays implements RelaySource {
  version = 1;
  #records: readonly NodeRecord[];

  constructor(records: readonly NodeRecord[]) {
    this.#records = records;
  }

  get records(): readonly NodeRecord[] {
    return this.#records;
  }

  set records(records: readonly NodeRecord[]) {
    this.#records = records;
    this.version++;
  }

  snapshot(): readonly NodeRecord[] {
    return this.#records;
  }
}

/** A selector with fresh guards, and what it is made of. */
export interface TestSelector {
  readonly selector: PathSelector;
  readonly source: TestRelays;
  readonly random: Random;
}

/** A selector over a list, refreshed once at time 0. */
export function testSelector(
  records: readonly NodeRecord[],
  options: {
    readonly seed?: number;
    readonly network?: NetworkParameters;
    readonly ownNodeId?: Bytes;
  } = {},
): TestSelector {
  const random = seededRandom(options.seed ?? 1);
  const source = new TestRelays(records);
  const selector = new PathSelector({
    network: options.network ?? PUBLIC,
    random,
    relays: source,
    guards: GuardSet.create(random),
    layer2: Layer2Set.create(random),
    ownNodeId: options.ownNodeId,
  });
  selector.refresh(0, TEST_UNIX_MS);
  return { selector, source, random };
}

/** Keys of relays, for comparing sets of them. */
export function keysOf(
  items: Iterable<NodeRecord | { readonly record: NodeRecord }>,
): Set<RelayKey> {
  return new Set(
    Array.from(
      items,
      (item) => relayKey("record" in item ? item.record.nodeId : item.nodeId),
    ),
  );
}
