/**
 * What goes between a process and its workers:
 *
 *     process ── start, reload, stop ──▶ worker
 *     process ◀── ready, told, ended ── worker
 *
 * @module
 */
import type { WorkerOptions } from "./worker_plan.ts";

/** What a worker is to do. */
export type WorkerOrder =
  | { readonly type: "start"; readonly options: WorkerOptions }
  | { readonly type: "reload"; readonly options: WorkerOptions }
  | { readonly type: "stop" };

/** What a worker says. */
export type WorkerEvent =
  /** All of it works; the line is that of `--ready-json`. */
  | { readonly type: "ready"; readonly line: string }
  /** A message to the operator. */
  | { readonly type: "told"; readonly line: string }
  /** It runs no more. `code` is of the error that ended it, if one did. */
  | {
    readonly type: "ended";
    readonly code?: string | undefined;
    readonly message?: string | undefined;
  };
