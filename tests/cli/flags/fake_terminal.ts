/**
 * A node in this process, and a terminal whose signals and readers a test controls.
 *
 * @module
 */
import { networkParameters } from "../../../lib/auth/network.ts";
import type { Program } from "../../../lib/cli/flags/command.ts";
import { DenoFiles } from "../../../lib/storage/deno_files.ts";

/** A relay of the local network, without its state directory. */
export const OPTIONS = {
  network: networkParameters("local"),
  relay: { listen: { host: "127.0.0.1", port: 0 }, advertise: [] },
  bootstrap: [],
  control: "off",
  logLevel: "info",
  logFormat: "json",
  readyAs: "json",
} as const;

/** A terminal, and what a test sees of it and does with it. */
export function fakeTerminal(log: (bytes: Uint8Array) => Promise<void>) {
  const ready = Promise.withResolvers<string>();
  const told: string[] = [];
  const quits: number[] = [];
  let signal = () => {};
  let reload: (() => void) | undefined;
  let nowMs = 0;
  const program: Program = {
    files: new DenoFiles(),
    terminal: {
      print: (line) => ready.resolve(line),
      tell: (line) => told.push(line),
      show: () => {},
      read: () => Promise.resolve(""),
      log,
      onStop(onSignal, { onReload }) {
        signal = onSignal;
        reload = onReload;
        return { [Symbol.dispose]: () => void (signal = () => {}) };
      },
      nowMs: () => nowMs,
      quit: (code) => quits.push(code),
    },
  };
  return {
    program,
    ready: ready.promise,
    told,
    quits,
    stop: () => signal(),
    /** SIGHUP. */
    hangUp: () => reload === undefined ? signal() : reload(),
    pass: (ms: number) => void (nowMs += ms),
  };
}
