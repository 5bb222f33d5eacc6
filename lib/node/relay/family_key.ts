/**
 * The family of a relay: its key lies in the state directory of all relays of one
 * operator, and signs each of them.
 *
 *     family.key     the same in all of them; `anonnet keygen` makes it, or `--workers`
 *
 * @see protocol §2.3 "Node records", §9.1 "State directory"
 * @module
 */
import { type Family, signFamily } from "../../auth/family.ts";
import { Identity, type PublicKey } from "../../auth/identity.ts";
import type { NodeRecord } from "../../auth/node_record.ts";
import { equalBytes, formatBase32 } from "../../base/bytes.ts";
import { ConfigError } from "../../base/errors.ts";
import type { Runtime } from "../../machine/runtime.ts";
import type { StateDirectory } from "../../storage/state_directory.ts";

const FAMILY_KEY = "family";

/**
 * Take a relay into the family whose key is in its state directory.
 *
 * @throws {ConfigError} `node.family` where there is none; `storage.*`. None is made:
 * each relay would be a family of its own.
 */
export async function loadFamily(
  { keys }: Pick<StateDirectory, "keys">,
  { crypto }: Pick<Runtime, "crypto">,
  relay: PublicKey,
): Promise<Family> {
  const seed = await keys.read(FAMILY_KEY);
  if (seed === undefined) {
    const path = keys.pathOf(FAMILY_KEY);
    throw new ConfigError(
      "node.family",
      `Cannot be of a family: there is no "${path}"; make the key once, with ` +
        `anonnet keygen --out "${path}", and copy it to each relay of yours`,
    );
  }
  using family = new Identity(crypto, seed);
  seed.fill(0);
  return signFamily(family, relay);
}

/**
 * Have several state directories hold the same family key: that of the first, which is
 * made where there never was one.
 *
 * @throws {ConfigError} `node.family` where one of the others holds another key;
 * `storage.*`.
 */
export async function shareFamily(
  [first, ...others]: readonly Pick<StateDirectory, "keys">[],
  { random }: Pick<Runtime, "random">,
): Promise<void> {
  if (first === undefined) return;
  const { seed } = await first.keys.readOrMake(FAMILY_KEY, random);
  try {
    for (const { keys } of others) {
      const held = await keys.read(FAMILY_KEY);
      if (held === undefined) await keys.create(FAMILY_KEY, seed);
      else if (!equalBytes(held, seed)) {
        throw new ConfigError(
          "node.family",
          `Cannot be one family: "${keys.pathOf(FAMILY_KEY)}" and ` +
            `"${
              first.keys.pathOf(FAMILY_KEY)
            }" are different keys; remove the ` +
            `first one, and it is made anew`,
        );
      }
      held?.fill(0);
    }
  } finally {
    seed.fill(0);
  }
}

/** How relays agree with one that says of which family it is. */
export interface FamilyStatus {
  /** Names the family, in base32. */
  readonly key: string;
  /** Listed relays of it, this one included. */
  readonly relays: number;
  /** Listed relays that give the same contact, and another family or none. */
  readonly strangers: number;
  readonly words: string;
}

/** What a relay's operator has to know of its family; `undefined` without one. */
export function familyStatus(
  own: NodeRecord,
  listed: readonly NodeRecord[],
): FamilyStatus | undefined {
  const { family, contact } = own;
  if (family === undefined) return undefined;
  const others = listed.filter(({ nodeId }) => !equalBytes(nodeId, own.nodeId));
  const isOurs = (record: NodeRecord) =>
    record.family !== undefined && equalBytes(record.family.key, family.key);
  const relays = 1 + others.filter(isOurs).length;
  const strangers =
    others.filter((record) =>
      contact !== undefined && record.contact === contact && !isOurs(record)
    ).length;
  const key = formatBase32(family.key);
  const words = strangers === 0
    ? `${key.slice(0, 8)}, ${relays} relays listed`
    : `${
      key.slice(0, 8)
    }, ${relays} relays listed; ${strangers} more give the same ` +
      `contact and are not of it: if they are yours, give them the same family.key ` +
      `and --family`;
  return { key, relays, strangers, words };
}
