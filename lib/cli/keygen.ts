/**
 * `anonnet keygen`: a key file, made without starting a node.
 *
 * @module
 */
import { Identity } from "../auth/identity.ts";
import { formatBase32, utf8 } from "../base/bytes.ts";
import { SILENT_LOG } from "../node/log.ts";
import { systemRuntime } from "../node/runtime.ts";
import { formatKey } from "../storage/key_format.ts";
import { createPrivateFile } from "../storage/private_file.ts";
import { defineCommand } from "./command.ts";
import { defaultFlag, parseText, switchFlag } from "./flag.ts";

/** What `--out` takes for standard output. */
const STANDARD_OUTPUT = "-";

/** `anonnet keygen`. */
export const keygenCommand = defineCommand({
  name: "keygen",
  summary: "make a secret key and print the public one",
  details:
    "Writes a new key to a file that only you can read, and prints the " +
    "public key that belongs to it. An existing file is never overwritten. A " +
    "relay takes its key from identity.key in its state directory.",
  flags: {
    out: defaultFlag(
      "FILE",
      "where to write the secret key; - prints it instead, and nothing else",
      "identity.key",
      parseText,
    ),
    json: switchFlag("print one JSON object"),
  },
  async run({ out, json }, { terminal, files }) {
    const { crypto, random } = await systemRuntime(SILENT_LOG);
    using identity = Identity.generate(crypto, random);
    const seed = identity.exportSeed();
    const text = formatKey(crypto, seed);
    seed.fill(0);
    if (out === STANDARD_OUTPUT) {
      terminal.print(text.trimEnd());
      return 0;
    }
    await createPrivateFile(files, out, utf8(text));
    const publicKey = formatBase32(identity.publicKey);
    const facts = { publicKey, file: out };
    if (json) terminal.print(JSON.stringify(facts));
    else {
      terminal.print(`public key  ${publicKey}`);
      terminal.print(`address     anon://${publicKey}@HOST:PORT`);
      terminal.print(`key file    ${out} (secret: keep a copy, show nobody)`);
    }
    return 0;
  },
});
