/**
 * Delegations for tests.
 *
 * @module
 */
import { Identity } from "../../../lib/auth/identity.ts";
import { networkParameters } from "../../../lib/auth/network.ts";
import { type Random, seededRandom } from "../../../lib/base/random.ts";
import type { CryptoSuite } from "../../../lib/crypto/suite.ts";
import {
  delegate,
  type Delegation,
} from "../../../lib/service/delegation/delegation.ts";
import { nextIssue } from "../../../lib/service/delegation/issue.ts";

/** What differs from two hosts for three days, by a key of fives. */
export interface DelegatedChanges {
  readonly hosts?: readonly { readonly slot: number; readonly born: number }[];
  readonly issue?: number;
  readonly days?: number;
  readonly identity?: Identity;
  readonly random?: Random;
}

/** The service that is delegated unless a test says otherwise. */
export function delegatedIdentity(crypto: CryptoSuite): Identity {
  return new Identity(crypto, new Uint8Array(32).fill(5));
}

/** Delegate a service's key. */
export function delegated(
  crypto: CryptoSuite,
  unixMs: number,
  changes: DelegatedChanges = {},
): Delegation[] {
  const issue = changes.issue ?? nextIssue(0, unixMs);
  return delegate(
    crypto,
    changes.random ?? seededRandom(7),
    networkParameters("local"),
    changes.identity ?? delegatedIdentity(crypto),
    {
      issue,
      hosts: changes.hosts ?? [{ slot: 1, born: 1 }, { slot: 2, born: 1 }],
      days: changes.days ?? 3,
      unixMs,
    },
  );
}
