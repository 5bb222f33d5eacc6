/**
 * Parts of a file that visitors ask for.
 *
 *     Range: bytes=FIRST-LAST      both of them
 *     Range: bytes=FIRST-          from there to the end
 *     Range: bytes=-COUNT          so many last ones
 *
 * One part is sent at a time: who asks for several gets the whole, as RFC 9110 §14.2
 * allows. A date in `If-Range` never matches, for no dates are told.
 *
 * @see {@link https://www.rfc-editor.org/rfc/rfc9110#section-14 | RFC 9110 §13, §14}
 * @module
 */

/** Bytes `from` ≤ n < `to` of a file. */
export interface ByteRange {
  readonly from: number;
  readonly to: number;
}

/** What of a file is to be sent. */
export type RangeAnswer =
  | { readonly type: "whole" }
  | { readonly type: "part"; readonly range: ByteRange }
  /** There is no such part: 416. */
  | { readonly type: "unsatisfiable" };

/** Sizes of files have 15 digits at most, so that numbers stay exact. */
const PART = /^bytes=([0-9]{0,15})-([0-9]{0,15})$/;

/** Most characters of a field that is looked at. */
const MAX_FIELD = 64;

/**
 * What a request asks for.
 *
 * @param headers Of the request.
 * @param bytes Length of the file.
 * @param etag Of the file, a strong one.
 */
export function rangeOf(
  headers: Headers,
  bytes: number,
  etag: string,
): RangeAnswer {
  const field = headers.get("range");
  if (field === null || field.length > MAX_FIELD) return { type: "whole" };
  const condition = headers.get("if-range");
  if (condition !== null && condition.trim() !== etag) return { type: "whole" };
  const [, first, last] = PART.exec(field.replaceAll(/[ \t]/g, "")) ?? [];
  if (first === undefined || last === undefined) return { type: "whole" };
  if (first === "" && last === "") return { type: "whole" };
  if (first === "") {
    const count = Math.min(Number(last), bytes);
    if (count === 0) return { type: "unsatisfiable" };
    return { type: "part", range: { from: bytes - count, to: bytes } };
  }
  const from = Number(first);
  const end = last === "" ? bytes : Number(last) + 1;
  if (end <= from && last !== "") return { type: "whole" }; // no range at all
  if (from >= bytes) return { type: "unsatisfiable" };
  return { type: "part", range: { from, to: Math.min(end, bytes) } };
}

/** Whether a list of ETags, as in `If-None-Match`, has this one. */
export function listsEtag(list: string, etag: string): boolean {
  return list.trim() === "*" ||
    list.split(",").some((tag) => tag.trim().replace(/^W\//, "") === etag);
}

/** What a `Content-Range` says; `undefined` where it makes no sense. */
export function parseContentRange(
  text: string,
): { readonly range: ByteRange; readonly bytes: number } | undefined {
  const [, first, last, all] =
    /^bytes ([0-9]{1,15})-([0-9]{1,15})\/([0-9]{1,15})$/.exec(text.trim()) ??
      [];
  const range = { from: Number(first), to: Number(last) + 1 };
  const bytes = Number(all);
  const isRight = all !== undefined && range.from < range.to &&
    range.to <= bytes;
  return isRight ? { range, bytes } : undefined;
}
