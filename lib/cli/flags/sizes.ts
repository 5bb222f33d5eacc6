/**
 * Sizes as operators write them.
 *
 *     5000000   5000kB   5MB   5M      bytes
 *     40Mbit                           an eighth of it in bytes; for rates
 *     64MiB                            powers of 1,024
 *     500GB/month                      bytes in each month
 *
 * @module
 */
import { ConfigError } from "../../base/errors.ts";
import type { TrafficLimit } from "../../circuit/traffic_account.ts";
import { PERIOD_UNITS } from "../../circuit/traffic_period.ts";

/** What stands before the unit. */
const PREFIXES: Readonly<Record<string, number>> = {
  "": 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
};

/** A number, perhaps with a point, a prefix, and bytes or bits. */
const SIZE = /^([0-9]{1,15}(?:\.[0-9]{1,3})?)([kMGT]i?|)(B|bit|)$/;

/** Bytes, such as `64MiB`. @throws {ConfigError} `cli.size`. */
export function parseBytes(text: string): number {
  return parseSize(text) ??
    fail(text, "bytes, such as 64MiB, 64MB or 64000000");
}

/** Bytes per second, such as `1MB` or `10Mbit`. @throws {ConfigError} `cli.size`. */
export function parseByteRate(text: string): number {
  return parseSize(text, { bits: 8 }) ??
    fail(text, "bytes per second, such as 5MB, 40Mbit or 5000000");
}

/** Bytes in a period, such as `500GB/month`. @throws {ConfigError} `cli.size`. */
export function parseTrafficLimit(text: string): TrafficLimit {
  const [size = "", word, ...rest] = text.split("/");
  const bytes = parseSize(size);
  const unit = PERIOD_UNITS.find((unit) => unit === word);
  if (bytes === undefined || unit === undefined || rest.length > 0) {
    return fail(text, "bytes in a day, week or month, such as 500GB/month");
  }
  return { bytes, unit };
}

/** A whole number. @throws {ConfigError} `cli.size`. */
export function parseCount(text: string): number {
  const count = Number(text);
  return /^[0-9]{1,9}$/.test(text) ? count : fail(text, "a whole number");
}

/** @param options.bits Bits to a byte, where bits may be written. */
function parseSize(
  text: string,
  options: { readonly bits?: number } = {},
): number | undefined {
  const [, digits, prefix = "", unit] = SIZE.exec(text) ?? [];
  if (digits === undefined) return undefined;
  if (unit === "bit" && options.bits === undefined) return undefined;
  const parts = unit === "bit" ? options.bits ?? 1 : 1;
  const bytes = Math.floor(Number(digits) * (PREFIXES[prefix] ?? 1) / parts);
  return bytes >= 1 && Number.isSafeInteger(bytes) ? bytes : undefined;
}

function fail(text: string, wanted: string): never {
  throw new ConfigError(
    "cli.size",
    `it is "${text.slice(0, 40)}"; write ${wanted}`,
  );
}
