#!/usr/bin/env node
/**
 * `npx anonnet`: starts the program beside this file on the Deno that npm has
 * installed for this platform, and is else not noticed.
 *
 *     terminal ─ npx ─ this ─┬─ standard streams, signals ─▶ deno ─ main.js
 *                            ◀─ exit code, or the signal that ended it
 *
 * A terminal sends Ctrl-C to all of them, and npx passes it on besides: the program
 * takes signals that come together for one wish. It watches this process and stops
 * when it is gone; where npm started this process, it watches npm in turn.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { accessSync, chmodSync, constants, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import os from "node:os";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const HERE = dirname(fileURLToPath(import.meta.url));

/** A flag of starters, before the command. */
const WITH_PARENT = "--stop-with-parent";

/** How often to look whether the process that started this one is still there, ms. */
const PARENT_LOOK_MS = 500;

/** Signals that are for the program. Windows sends Ctrl-C to all processes of a console itself. */
const PASSED_ON = process.platform === "win32"
  ? []
  : ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"];

/** Signals that must not end this process before the program has ended. */
const SWALLOWED = process.platform === "win32" ? ["SIGINT", "SIGBREAK"] : [];

/** The executable of Deno. npm need not have run any install script. */
function findDeno() {
  const library = process.platform === "linux" ? "-glibc" : "";
  const name = `@deno/${process.platform}-${process.arch}${library}`;
  const program = process.platform === "win32" ? "deno.exe" : "deno";
  let file;
  try {
    const deno = createRequire(import.meta.url).resolve("deno/package.json");
    const platform = createRequire(deno).resolve(`${name}/package.json`);
    file = join(dirname(platform), program);
    accessSync(file, constants.F_OK);
  } catch {
    throw new Error(
      `Deno for this platform (${name}) is not there: install again without ` +
        "--omit=optional; there is none for 32 bits, nor for musl (Alpine)",
    );
  }
  try {
    accessSync(file, constants.X_OK);
  } catch {
    chmodSync(file, 0o755);
  }
  return file;
}

/** Call `onGone` once what started this process has ended. */
function watchStarter(onGone) {
  const starter = nameStarter();
  const timer = setInterval(() => {
    if (nameStarter() === starter) return;
    clearInterval(timer);
    onGone();
  }, PARENT_LOOK_MS);
  timer.unref();
}

/** The parent; where it is the shell that npm puts between, what started that as well. */
function nameStarter() {
  const parent = process.ppid;
  if (!process.env.npm_command) return `${parent}`;
  try {
    const stat = readFileSync(`/proc/${parent}/stat`, "latin1");
    // "pid (name) state ppid": a name may hold anything.
    const end = stat.lastIndexOf(")");
    const name = stat.slice(stat.indexOf("(") + 1, end);
    const [, grandparent] = stat.slice(end + 2).split(" ");
    return name.endsWith("sh") ? `${parent} ${grandparent}` : `${parent}`;
  } catch {
    return `${parent}`; // other systems than Linux do not tell
  }
}

/** End as the program did. */
function endLike(code, signal) {
  if (signal === null) process.exit(code);
  // For systems that have no such signal, or do not deliver it at once.
  process.exitCode = 128 + (os.constants.signals[signal] ?? 0);
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}

function start(words) {
  // Before the program runs, which a signal would leave behind otherwise.
  for (const signal of PASSED_ON) process.on(signal, () => child.kill(signal));
  for (const signal of SWALLOWED) process.on(signal, () => {});

  const isAsked = words[0] === WITH_PARENT;
  const child = spawn(
    findDeno(),
    [
      "run",
      "--quiet",
      "--no-prompt",
      "--no-remote",
      // Of what a crowd leaves behind, less waits to be collected.
      "--v8-flags=--max-semi-space-size=4",
      "-P",
      `--config=${join(HERE, "deno.json")}`,
      join(HERE, "main.js"),
      WITH_PARENT,
      ...isAsked ? words.slice(1) : words,
    ],
    {
      stdio: "inherit",
      // Deno would ask its makers, in the clear, whether there is a newer one.
      env: { ...process.env, DENO_NO_UPDATE_CHECK: "1" },
    },
  );
  child.on("error", fail);
  child.on("exit", endLike);
  if (isAsked || process.env.npm_command) {
    watchStarter(() => child.kill("SIGTERM"));
  }
}

function fail(error) {
  process.stderr.write(`anonnet: Cannot start: ${error.message}\n`);
  process.exitCode = 1;
}

try {
  start(process.argv.slice(2));
} catch (error) {
  fail(error);
}
