/**
 * Commands of networks and invites, on a disk in memory.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Identity } from "../../../lib/auth/identity.ts";
import { formatInvite, signInvite } from "../../../lib/auth/invite.ts";
import { customNetwork } from "../../../lib/auth/network.ts";
import type { NodeAddress } from "../../../lib/auth/node_address.ts";
import { run } from "../../../lib/cli/main.ts";
import { nativeSuite } from "../../../lib/crypto/native.ts";
import { MemoryFiles } from "../../../lib/storage/memory_files.ts";

const crypto = nativeSuite();

/** A network that is not built in. */
export const GARDEN = customNetwork({
  name: "garden",
  powDifficulty: 0,
  allowPrivateAddresses: true,
});

/** The key of a network, by a number. */
export function networkKey(number: number): Identity {
  return new Identity(crypto, new Uint8Array(32).fill(number));
}

/** A relay that an invite may name. */
export function relay(number: number): NodeAddress {
  const { publicKey } = networkKey(100 + number);
  return { publicKey, address: { host: `10.${number}.0.1`, port: 4001 } };
}

/** The line of an invite, valid for an hour unless it says otherwise. */
export function inviteLine(
  { key = 1, network = GARDEN, relays = [1, 2, 3], lifeMs = 3_600_000 } = {},
): string {
  const content = {
    network,
    relays: relays.map(relay),
    expiryMs: Date.now() + lifeMs,
  };
  return formatInvite(crypto, signInvite(crypto, networkKey(key), content));
}

/** An operator at a terminal, with a disk. */
export class Operator {
  readonly files = new MemoryFiles();

  /** Run one command, and see how it ends. */
  async run(words: readonly string[], input = "") {
    const printed: string[] = [];
    const told: string[] = [];
    const code = await run(words, {
      files: this.files,
      terminal: {
        print: (line) => printed.push(line),
        tell: (line) => told.push(line),
        show: () => {},
        read: () => Promise.resolve(input),
        log: () => Promise.resolve(),
        nowMs: () => 0,
        onStop: () => ({ [Symbol.dispose]() {} }),
        quit: (code) => assert.fail(`quit with ${code}`),
      },
    });
    return { code, printed: printed.join("\n"), told: told.join("\n") };
  }

  /** Run one command that has to do what it should. */
  async do(words: readonly string[], input = ""): Promise<string> {
    const { code, printed, told } = await this.run(words, input);
    assert.equal(code, 0, told);
    return printed;
  }
}
