/**
 * The log of a process: lines of text or JSON, by LogTape.
 *
 *     2026-11-22T10:00:00.000Z info    links: Peer known peer=x7k3a2bq
 *     {"time":"2026-11-22T10:00:00.000Z","level":"info","part":"links",
 *      "message":"Peer known","peer":"x7k3a2bq"}
 *
 * Writing never holds the node up: lines wait in a bounded queue, and while
 * no program reads them, new ones are dropped and counted.
 *
 * @module
 */
import {
  configure,
  dispose,
  fromAsyncSink,
  getLogger,
  getTextFormatter,
  type Logger,
  type LogRecord,
  reset,
  type TextFormatter,
} from "@logtape/logtape";
import { describeError, errorCode } from "../base/errors.ts";
import { scrubText } from "./_scrub.ts";
import { LogTail } from "./log_tail.ts";
import {
  type Log,
  LOG_LEVELS,
  type LogFields,
  type LogLevel,
  type LogValue,
  Sensitive,
} from "./log.ts";

/** How lines look. */
export type LogFormat = "text" | "json";

/** All formats. */
export const LOG_FORMATS: readonly LogFormat[] = ["text", "json"];

/** What a log is made of. */
export interface LogOptions {
  readonly level: LogLevel;
  readonly format: LogFormat;
  /** Takes one line with its line end. Called once at a time. */
  readonly write: (line: Uint8Array) => Promise<unknown>;
}

/** A log, and the end of it. */
export interface LogOutput extends AsyncDisposable {
  readonly log: Log;
  /** From now on lines from this level up are written. */
  setLevel(level: LogLevel): void;
  /** Its last lines. */
  readonly tail: LogTail;
}

/**
 * Lines that wait for a reader. A terminal that was stopped, or a full pipe,
 * must cost neither memory without end nor the node's attention.
 */
const MAX_WAITING_LINES = 1000;

const ROOT = "anonnet";

/**
 * Open the log of this process. There is one: LogTape's configuration belongs to
 * the process, and opening a second one ends the first.
 */
export async function openLog(options: LogOptions): Promise<LogOutput> {
  const encoder = new TextEncoder();
  const format = options.format === "json" ? formatJson : TEXT;
  const threshold = { level: options.level };
  const tail = new LogTail();
  let dropped = 0;
  const sink = fromAsyncSink(async (record) => {
    if (dropped > 0) {
      const lost = { ...record, ...lossOf(dropped) };
      dropped = 0;
      await options.write(encoder.encode(format(lost)));
    }
    await options.write(encoder.encode(format(record)));
  }, {
    maxQueueSize: MAX_WAITING_LINES,
    overflow: "drop-newest",
    onDrop: ({ count }) => {
      dropped += count;
    },
  });
  await configure({
    reset: true,
    sinks: {
      output: sink,
      tail: (record) => tail.add(formatJson(record).trimEnd()),
    },
    loggers: [
      { category: ROOT, lowestLevel: "debug", sinks: ["output", "tail"] },
      // The library's own failures; its greeting is below this level.
      {
        category: ["logtape", "meta"],
        lowestLevel: "error",
        sinks: ["output"],
      },
    ],
  });
  return {
    log: new LogTapeLog(getLogger(ROOT), threshold),
    setLevel: (level) => {
      threshold.level = level;
    },
    tail,
    async [Symbol.asyncDispose]() {
      await dispose();
      await reset();
    },
  };
}

class LogTapeLog implements Log {
  readonly #logger: Logger;
  /** Shared by the logs of all parts. */
  readonly #threshold: { readonly level: LogLevel };

  constructor(logger: Logger, threshold: { readonly level: LogLevel }) {
    this.#logger = logger;
    this.#threshold = threshold;
  }

  debug(message: string, fields?: LogFields): void {
    if (this.#shows("debug")) this.#logger.debug(message, { ...fields });
  }
  info(message: string, fields?: LogFields): void {
    if (this.#shows("info")) this.#logger.info(message, { ...fields });
  }
  warning(message: string, fields?: LogFields): void {
    if (this.#shows("warning")) this.#logger.warning(message, { ...fields });
  }
  error(message: string, fields?: LogFields): void {
    this.#logger.error(message, { ...fields });
  }
  part(name: string): Log {
    return new LogTapeLog(this.#logger.getChild(name), this.#threshold);
  }

  #shows(level: LogLevel): boolean {
    return LOG_LEVELS.indexOf(level) >=
      LOG_LEVELS.indexOf(this.#threshold.level);
  }
}

function lossOf(count: number): Pick<LogRecord, "message" | "properties"> {
  return {
    message: ["Lines of this log were lost, as no program was reading it"],
    properties: { count },
  };
}

const TEXT: TextFormatter = getTextFormatter({
  timestamp: "rfc3339",
  level: (level) => level.padEnd(7),
  category: (category) => category.slice(1).join("."),
  format({ timestamp, level, category, record }) {
    const part = category === "" ? "" : `${category}: `;
    const fields = fieldsOf(record).map(([name, value]) =>
      ` ${name}=${textOf(value)}`
    );
    const message = messageOf(record);
    return `${timestamp} ${level} ${part}${message}${fields.join("")}`;
  },
});

function formatJson(record: LogRecord): string {
  return JSON.stringify({
    time: new Date(record.timestamp).toISOString(),
    level: record.level,
    part: record.category.slice(1).join("."),
    message: messageOf(record),
    ...Object.fromEntries(fieldsOf(record)),
  }) + "\n";
}

function messageOf(record: LogRecord): string {
  const text = record.message.map(String).join("");
  return record.level === "debug" ? text : scrubText(text);
}

type Field = [name: string, value: string | number | boolean | null];

function fieldsOf(record: LogRecord): Field[] {
  const fields: Field[] = [];
  for (const [name, value] of Object.entries(record.properties)) {
    if (value === undefined) continue;
    fields.push(...fieldOf(name, value as LogValue, record));
  }
  return fields;
}

function fieldOf(name: string, value: LogValue, record: LogRecord): Field[] {
  const isDebug = record.level === "debug";
  const shown = (text: string) => isDebug ? text : scrubText(text);
  if (value instanceof Sensitive) {
    return [[name, isDebug ? value.reveal() : String(value)]];
  }
  if (value instanceof Error) {
    const fields: Field[] = [
      [name, errorCode(value, value.name)],
      ["reason", shown(describeError(value))],
    ];
    if (isDebug) fields.push(["stack", value.stack ?? null]);
    return fields;
  }
  return [[name, typeof value === "string" ? shown(value) : value]];
}

function textOf(value: string | number | boolean | null): string {
  return typeof value === "string" && !/^[\w.:/@+-]+$/.test(value)
    ? JSON.stringify(value)
    : String(value);
}
