/**
 * Inputs that are kept, as files of `tests/vectors/fuzz/`:
 *
 *     <folder>_<noun>.json     what each outcome that was seen takes at least
 *     found/<sentence>.json    what was a finding, and is none any more
 *
 * @module
 */
import type { Bytes } from "../../lib/base/bytes.ts";
import type { FuzzInput } from "./fuzz_target.ts";

/** Where corpora are. */
const FOLDER = new URL("../vectors/fuzz/", import.meta.url);

/** Inputs of a target, each with the word for what came of it. */
export type Corpus = ReadonlyMap<string, FuzzInput>;

/** What was found once. */
export interface Finding {
  /** Name of the target. */
  readonly target: string;
  /** A sentence: what went wrong. */
  readonly about: string;
  readonly input: FuzzInput;
}

interface CorpusFile {
  readonly source: string;
  readonly inputs: Readonly<Record<string, readonly string[]>>;
}

const SOURCE =
  "Our own: `deno task long:fuzz` found and kept them; see tests/fuzz/.";

/** The kept inputs of a target; none where there is no file. */
export function readCorpus(target: string): Corpus {
  try {
    const file: CorpusFile = JSON.parse(
      Deno.readTextFileSync(corpusFile(target)),
    );
    return new Map(
      Object.entries(file.inputs).map(([word, input]) => [word, parse(input)]),
    );
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return new Map();
    throw error;
  }
}

/** Keep these inputs of a target. */
export async function writeCorpus(
  target: string,
  corpus: Corpus,
): Promise<void> {
  const words = [...corpus.keys()].sort();
  const inputs = Object.fromEntries(
    words.map((word) => [word, format(corpus.get(word) ?? [])]),
  );
  const file: CorpusFile = { source: SOURCE, inputs };
  await Deno.mkdir(FOLDER, { recursive: true });
  await Deno.writeTextFile(
    corpusFile(target),
    `${JSON.stringify(file, null, 1)}\n`,
  );
}

/** Everything that was found once, by the names of the files. */
export function readFindings(): Finding[] {
  return [...Deno.readDirSync(new URL("found/", FOLDER))]
    .map(({ name }) => name).filter((name) => name.endsWith(".json")).sort()
    .map((name) => {
      const text = Deno.readTextFileSync(new URL(`found/${name}`, FOLDER));
      const { target, about, input } = JSON.parse(text);
      return { target, about, input: parse(input) };
    });
}

/** The text of a file in `found/`. */
export function formatFinding({ target, about, input }: Finding): string {
  const file = { source: SOURCE, target, about, input: format(input) };
  return `${JSON.stringify(file, null, 1)}\n`;
}

function corpusFile(target: string): URL {
  return new URL(`${target.replaceAll("/", "_")}.json`, FOLDER);
}

function parse(messages: readonly string[]): Bytes[] {
  return messages.map((text) => Uint8Array.fromBase64(text));
}

function format(input: FuzzInput): string[] {
  return input.map((message) => message.toBase64());
}
