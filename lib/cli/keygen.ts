/**
 * `anonnet keygen`: a key file, made without starting a node.
 *
 * @module
 */
import { Identity } from "../auth/identity.ts";
import { formatBase32, utf8 } from "../base/bytes.ts";
import { SILENT_LOG } from "../log/log.ts";
import { type Runtime, systemRuntime } from "../machine/runtime.ts";
import { serviceHostOf } from "../node/host/service_keys.ts";
import {
  checkVanityPrefix,
  expectedTries,
  findVanitySeed,
} from "../service/vanity.ts";
import { formatKey } from "../storage/key_format.ts";
import { createPrivateFile } from "../storage/private_file.ts";
import { defineCommand } from "./flags/command.ts";
import {
  defaultFlag,
  optionalFlag,
  parseText,
  switchFlag,
} from "./flags/flag.ts";
import { formatDuration } from "./ask/status.ts";
import type { Terminal } from "./flags/terminal.ts";

/** What `--out` takes for standard output. */
const STANDARD_OUTPUT = "-";
/** Between two words about a long search, ms. */
const REPORT_MS = 10_000;

/** `anonnet keygen`. */
export const keygenCommand = defineCommand({
  name: "keygen",
  summary: "make a secret key and print the public one",
  details:
    "Writes a new key to a file that only you can read, and prints the " +
    "public key that belongs to it. An existing file is never overwritten. A " +
    "relay takes its key from identity.key in its state directory, a service " +
    "from service-NAME.key.",
  flags: {
    out: defaultFlag(
      "FILE",
      "where to write the secret key; - prints it instead, and nothing else",
      "identity.key",
      parseText,
    ),
    service: switchFlag("for a service: print its .anon address"),
    vanity: optionalFlag(
      "PREFIX",
      "for a service, whose address shall begin like this; each letter takes " +
        "32 times as long as the one before, 4 about a minute",
      checkVanityPrefix,
    ),
    json: switchFlag("print one JSON object"),
  },
  async run({ out, service, vanity, json }, { terminal, files }) {
    const runtime = await systemRuntime(SILENT_LOG);
    const { crypto } = runtime;
    using identity = await makeIdentity(runtime, vanity, terminal);
    const seed = identity.exportSeed();
    const text = formatKey(crypto, seed);
    seed.fill(0);
    const publicKey = formatBase32(identity.publicKey);
    const isService = service || vanity !== undefined;
    const host = isService
      ? serviceHostOf(crypto, identity.publicKey)
      : undefined;
    if (out === STANDARD_OUTPUT) {
      terminal.print(
        json
          ? JSON.stringify({ publicKey, secretKey: text, ...host && { host } })
          : text.trimEnd(),
      );
      return 0;
    }
    await createPrivateFile(files, out, utf8(text));
    if (json) {
      terminal.print(
        JSON.stringify({ publicKey, file: out, ...host && { host } }),
      );
    } else {
      terminal.print(`public key  ${publicKey}`);
      terminal.print(`address     ${host ?? `anon://${publicKey}@IP:PORT`}`);
      terminal.print(
        `key file    ${out} (secret: keep a copy, and never show it)`,
      );
    }
    return 0;
  },
});

async function makeIdentity(
  { crypto, random, clock }: Runtime,
  prefix: string | undefined,
  terminal: Terminal,
): Promise<Identity> {
  if (prefix === undefined) return Identity.generate(crypto, random);
  const startedMs = clock.nowMs();
  let reportedMs = startedMs;
  const expected = expectedTries(prefix);
  const onProgress = (tries: number) => {
    const nowMs = clock.nowMs();
    if (nowMs - reportedMs < REPORT_MS) return Promise.resolve();
    reportedMs = nowMs;
    const passedMs = nowMs - startedMs;
    terminal.tell(
      `${tries} tries in ${
        formatDuration(passedMs)
      }; it takes ${expected} on ` +
        `average, ${formatDuration(expected * passedMs / tries)}`,
    );
    return Promise.resolve();
  };
  const seed = await findVanitySeed({ crypto, random, prefix, onProgress });
  const identity = new Identity(crypto, seed);
  seed.fill(0);
  return identity;
}
