/**
 * The line that tells a target which streams belong to one visitor: PROXY protocol,
 * version 1, as HAProxy, nginx and others read it.
 *
 *     PROXY TCP6 fd61:6e6f:6e6e:6574::9a3c:12f0 ::1 7 80 CR LF
 *                └ prefix, then the session ┘       │ └ port of the service
 *                                                   └ number of the stream, modulo 65536
 *
 * There are no addresses of visitors to tell. What stands in their place is the same
 * for all streams of one session and means nothing to anything but this service: a
 * target can limit, block or count by it.
 *
 * @see {@link https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt | PROXY protocol, version 1}
 * @module
 */
import { type Bytes, utf8 } from "../base/bytes.ts";

/** Bytes of a session's mark. */
export const MARK_BYTES = 4;

/** A unique local prefix (RFC 4193): no machine out there has such an address. */
const PREFIX = "fd61:6e6f:6e6e:6574::";

/** A session as targets and operators see it. */
export interface SessionMark {
  /** 8 hexadecimal digits, drawn at random when the session began. */
  readonly id: string;
}

/**
 * The line for a stream.
 *
 * @param number Which stream of its session it is, from 1.
 * @param port Virtual port of the service.
 */
export function proxyLine(
  { id }: SessionMark,
  number: number,
  port: number,
): Bytes {
  const groups = [id.slice(0, 4), id.slice(4)]
    .map((group) => group.replace(/^0{1,3}/, ""))
    .join(":");
  return utf8(
    `PROXY TCP6 ${PREFIX}${groups} ::1 ${number % 65536} ${port}\r\n`,
  );
}
