/**
 * The identity that a node keeps: made at the first start, read at every other.
 *
 * @see protocol §9.1 "State directory"
 * @module
 */
import { Identity } from "../auth/identity.ts";
import type { NetworkParameters } from "../auth/network.ts";
import { findWork, placeOf, type Work } from "../auth/proof_of_work.ts";
import { sleep } from "../base/clock.ts";
import type { StateDirectory } from "../storage/state_directory.ts";
import type { Runtime } from "../machine/runtime.ts";

/** Name of the identity's key in the state directory. */
const IDENTITY_KEY = "identity";

/**
 * Between attempts at the work, ms. Where scrypt holds the thread, the node's
 * other business gets a turn here.
 */
const BREATH_MS = 0;
/** About what one attempt takes on one core, ms. */
const MS_PER_ATTEMPT = 10;
/** Attempts between two lines of the log that say how far the search is. */
const ATTEMPTS_PER_REPORT = 1000;

/**
 * The node's key pair.
 *
 * @throws {ConfigError} `storage.key_*` when there is one that cannot be used.
 * It is never replaced by a new one.
 */
export async function loadIdentity(
  state: StateDirectory,
  { crypto, random, log }: Runtime,
): Promise<Identity> {
  const { seed, isNew } = await state.keys.readOrMake(IDENTITY_KEY, random);
  const identity = new Identity(crypto, seed);
  seed.fill(0);
  if (isNew) {
    log.info("Made a new identity; keep a copy of its key file", {
      file: state.keys.pathOf(IDENTITY_KEY),
    });
  }
  return identity;
}

/**
 * The work that prices the identity in `network`: kept once found.
 *
 * @throws the signal's reason when told to give up.
 */
export async function loadWork(
  state: StateDirectory,
  network: NetworkParameters,
  identity: Identity,
  { crypto, random, clock, log }: Runtime,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<Work> {
  const name = `work-${network.name}`;
  const { powDifficulty: difficulty } = network;
  const { publicKey } = identity;
  const stored = await state.blobs.read(name);
  if (stored !== undefined) {
    const place = await placeOf(crypto, difficulty, publicKey, stored);
    if (place !== undefined) return { workNonce: stored, place };
  }
  const expected = 2 ** difficulty;
  if (expected > 1) {
    log.info("Working to prove the identity; this happens once", {
      takes: `${roughTime(expected * MS_PER_ATTEMPT)} on one core`,
    });
  }
  const work = await findWork(crypto, difficulty, publicKey, random, {
    signal: options.signal,
    onProgress(attempts) {
      if (attempts % ATTEMPTS_PER_REPORT === 0) {
        log.info(
          "Still working to prove the identity; it is a matter of luck",
          {
            tries: attempts,
            triesOnAverage: expected,
          },
        );
      }
      return expected > 1 ? sleep(clock, BREATH_MS) : undefined;
    },
  });
  await state.blobs.write(name, work.workNonce);
  return work;
}

/** How long something takes, in words that promise no more than is known. */
function roughTime(ms: number): string {
  const minutes = ms / 60_000;
  if (minutes < 1 / 3) return "some seconds";
  if (minutes < 1.5) return "about a minute";
  if (minutes < 90) return `about ${Math.round(minutes)} minutes`;
  return `about ${Math.round(minutes / 60)} hours`;
}
