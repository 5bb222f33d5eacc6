/**
 * The program in this process, with files and a terminal that are arrays.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Program } from "../../lib/cli/flags/command.ts";
import { MemoryFiles } from "../../lib/storage/memory_files.ts";

/** A program, and what it printed and told. */
export interface Recording {
  readonly program: Program;
  readonly printed: string[];
  readonly told: string[];
}

/** A program that prints into arrays. */
export function recording(files: MemoryFiles = new MemoryFiles()): Recording {
  const printed: string[] = [];
  const told: string[] = [];
  const program: Program = {
    files,
    terminal: {
      print: (line) => printed.push(line),
      tell: (line) => told.push(line),
      show: () => {},
      read: () => Promise.resolve(""),
      log: () => Promise.resolve(),
      nowMs: () => 0,
      onStop: () => ({ [Symbol.dispose]() {} }),
      quit: (code) => assert.fail(`quit with ${code}`),
    },
  };
  return { program, printed, told };
}
