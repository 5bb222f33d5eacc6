/**
 * Which relays an invite names: those of different owners first, as far as their
 * addresses tell, so that one failure or one party does not make it useless.
 *
 *     own ─▶ one of each subnet, in random order ─▶ the others
 *
 * @see protocol §9.6 "Invites"
 * @module
 */
import { type Random, shuffled } from "../base/random.ts";
import { formatNodeAddress, type NodeAddress } from "./node_address.ts";
import { addressGroup, PATH_PREFIX } from "./subnet.ts";

/**
 * Order relays for an invite, the best first.
 *
 * @param own Our own relay, if others reach it: it comes first.
 * @param known Relays that were reached lately.
 */
export function inviteRelays(
  own: NodeAddress | undefined,
  known: readonly NodeAddress[],
  random: Random,
): NodeAddress[] {
  const all = own === undefined ? [] : [own];
  all.push(...shuffled(random, known));
  const taken = new Set<string>();
  const groups = new Set<string>();
  const first: NodeAddress[] = [];
  const rest: NodeAddress[] = [];
  for (const relay of all) {
    const text = formatNodeAddress(relay);
    if (taken.has(text)) continue;
    taken.add(text);
    const group = addressGroup(relay.address, PATH_PREFIX);
    (groups.has(group) ? rest : first).push(relay);
    groups.add(group);
  }
  return [...first, ...rest];
}
