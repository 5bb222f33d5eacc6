/**
 * The one list in messages of the DHT, as the last pair of a CBOR map (RFC 8949 §3):
 *
 *     67 "records"   80+n or 98 n   { 40+length, 58 length or 59 length(2)   record } …
 *
 * No other field of a message has a longer name, so this one is the last of the
 * deterministic order, and follows the encoding of all others.
 *
 * @module
 */
import { type Bytes, utf8 } from "../../base/bytes.ts";

const NAME = Uint8Array.of(0x67, ...utf8("records"));
const BYTES = 0x40;
const ARRAY = 0x80;
/** Least number that does not fit into a head's first byte. */
const LONG = 24;

/**
 * The field, encoded.
 *
 * @param records Up to 255 of up to 65,535 bytes each.
 * @throws {RangeError} for more.
 */
export function encodeRecordsField(records: readonly Uint8Array[]): Bytes {
  let length = NAME.length + headBytes(records.length);
  for (const { length: bytes } of records) length += headBytes(bytes) + bytes;
  if (records.length > 0xff) {
    throw new RangeError(`Cannot encode ${records.length} records`);
  }
  const out = new Uint8Array(length);
  out.set(NAME);
  let at = writeHead(out, NAME.length, ARRAY, records.length);
  for (const record of records) {
    at = writeHead(out, at, BYTES, record.length);
    out.set(record, at);
    at += record.length;
  }
  return out;
}

function headBytes(value: number): number {
  return value < LONG ? 1 : value <= 0xff ? 2 : 3;
}

/** The offset after it. */
function writeHead(
  out: Uint8Array,
  at: number,
  major: number,
  value: number,
): number {
  switch (headBytes(value)) {
    case 1:
      out[at] = major + value;
      return at + 1;
    case 2:
      out[at] = major + LONG;
      out[at + 1] = value;
      return at + 2;
    default:
      if (value > 0xffff) {
        throw new RangeError(`Cannot encode a record of ${value} bytes`);
      }
      out[at] = major + LONG + 1;
      out[at + 1] = value >> 8;
      out[at + 2] = value & 0xff;
      return at + 3;
  }
}
