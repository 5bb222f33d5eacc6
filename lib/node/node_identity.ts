/**
 * The identity that a node keeps: made at the first start, read at every other.
 *
 * @see protocol §9.1 "State directory"
 * @module
 */
import { Identity } from "../auth/identity.ts";
import type { NetworkParameters } from "../auth/network.ts";
import { checkWork, findWork } from "../auth/proof_of_work.ts";
import type { Bytes } from "../base/bytes.ts";
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
  const stored = await state.keys.read(IDENTITY_KEY);
  if (stored !== undefined) {
    const identity = new Identity(crypto, stored);
    stored.fill(0);
    return identity;
  }
  const identity = Identity.generate(crypto, random);
  const seed = identity.exportSeed();
  // Stored before anybody hears of it.
  await state.keys.create(IDENTITY_KEY, seed);
  seed.fill(0);
  log.info("Made a new identity; keep a copy of its key file");
  return identity;
}

/**
 * The work that prices the identity in `network`: kept once found.
 *
 * @returns A nonce, 16 bytes.
 * @throws the signal's reason when told to give up.
 */
export async function loadWork(
  state: StateDirectory,
  network: NetworkParameters,
  identity: Identity,
  { crypto, random, clock, log }: Runtime,
  options: { readonly signal?: AbortSignal | undefined } = {},
): Promise<Bytes> {
  const name = `work-${network.name}`;
  const { powDifficulty: difficulty } = network;
  const { publicKey } = identity;
  const stored = await state.blobs.read(name);
  if (
    stored !== undefined &&
    await checkWork(crypto, difficulty, publicKey, stored)
  ) return stored;
  const expected = 2 ** difficulty;
  if (expected > 1) {
    log.info("Working to prove the identity; this happens once", { expected });
  }
  const nonce = await findWork(crypto, difficulty, publicKey, random, {
    signal: options.signal,
    onProgress(attempts) {
      if (attempts % ATTEMPTS_PER_REPORT === 0) {
        log.info("Still working to prove the identity", { attempts, expected });
      }
      return expected > 1 ? sleep(clock, BREATH_MS) : undefined;
    },
  });
  await state.blobs.write(name, nonce);
  return nonce;
}
