/**
 * Of which network a state directory is: the relays, guards and records in it are of
 * no use in another, and a node would look for relays with them for ever.
 *
 *     network.blob    { name }: that of the node that first started on it
 *
 * @see protocol §9.1 "State directory"
 * @module
 */
import type { NetworkParameters } from "../../auth/network.ts";
import { ConfigError, ProtocolError } from "../../base/errors.ts";
import type { StateDirectory } from "../../storage/state_directory.ts";
import { encodeCbor } from "../../wire/cbor.ts";
import { decodeFields } from "../../wire/fields.ts";

const NETWORK_BLOB = "network";

/** Longest name of a network, in bytes. */
const MAX_NAME_BYTES = 32;

/**
 * Take a state directory for a network. One that does not say of which it is, such as
 * one of an earlier version, is of this one from now on.
 *
 * @throws {ConfigError} `storage.network` when it is of another; `storage.*`.
 */
export async function claimForNetwork(
  state: StateDirectory,
  { name }: NetworkParameters,
): Promise<void> {
  const stored = await storedName(state);
  if (stored === name) return;
  if (stored !== undefined) {
    throw new ConfigError(
      "storage.network",
      `Cannot use state directory "${state.path}": it is of network ` +
        `"${stored}", and not of "${name}"; add --network ${stored}, or name ` +
        `another with --state`,
    );
  }
  await state.blobs.write(NETWORK_BLOB, encodeCbor({ name }));
}

async function storedName(state: StateDirectory): Promise<string | undefined> {
  const stored = await state.blobs.read(NETWORK_BLOB);
  if (stored === undefined) return undefined;
  try {
    const fields = decodeFields(stored, "network blob");
    const name = fields.text("name", MAX_NAME_BYTES);
    fields.finish();
    return name;
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    await state.blobs.setAside(NETWORK_BLOB);
    return undefined;
  }
}
