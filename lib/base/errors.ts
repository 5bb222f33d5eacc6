/**
 * The error tree. The class says what the caller does, the code says what
 * happened:
 *
 *     ProtocolError     the other side broke the protocol: close its link
 *     UnreachableError  the network failed us: try another peer, or later
 *     ConfigError       the operator must change something: print and exit
 *     BugError          we are wrong: let it reach the top
 *
 * Messages open with the action that failed and hold no key, payload, service
 * address or target: they end up in logs.
 *
 * @module
 */

/** What every error of this project has. */
export interface AnonNetErrorOptions {
  /** The error that led to this one. */
  readonly cause?: unknown;
}

/** Root of all errors thrown on purpose. */
export class AnonNetError extends Error {
  /** The name of the class, also where code is minified. */
  override readonly name: string = "AnonNetError";
  /** Dotted machine-readable reason, such as `"link.bad_proof"`. */
  readonly code: string;

  /**
   * Made where it is thrown, with the error that led to it as `cause`.
   *
   * @param code Dotted reason: folder, then what happened.
   * @param message What failed, for a person; no full stop, no secrets.
   */
  constructor(
    code: string,
    message: string,
    options: AnonNetErrorOptions = {},
  ) {
    super(message, options);
    this.code = code;
  }
}

/** The other side sent what the protocol forbids. Do not retry there. */
export class ProtocolError extends AnonNetError {
  /** The name of the class. */
  override readonly name = "ProtocolError";
}

/** The network did not carry us there. Another peer or a later try may work. */
export class UnreachableError extends AnonNetError {
  /** The name of the class. */
  override readonly name = "UnreachableError";
}

/** The operator asked for something impossible; the message says what to change. */
export class ConfigError extends AnonNetError {
  /** The name of the class. */
  override readonly name = "ConfigError";
}

/** A state that our own code must never reach. */
export class BugError extends AnonNetError {
  /** The name of the class. */
  override readonly name = "BugError";
}

/** The code of an error of ours, or `fallback` for a stranger's. */
export function errorCode(error: unknown, fallback = "unknown"): string {
  return error instanceof AnonNetError ? error.code : fallback;
}

/** Name of the runtime's error for a permission that the process was not given. */
const NO_PERMISSION = "NotCapable";

/**
 * One line for a log: the messages of an error and of its causes. A permission
 * that is missing is for our own messages to name: the runtime's words for it
 * advise to start again with more.
 */
export function describeError(error: unknown): string {
  const parts: string[] = [];
  for (
    let current = error;
    current instanceof Error && parts.length < 4;
    current = current.cause
  ) {
    if (current.name !== NO_PERMISSION) parts.push(current.message);
  }
  if (parts.length > 0) return parts.join(": ");
  return error instanceof Error
    ? "this process was started without permission for it"
    : String(error);
}
