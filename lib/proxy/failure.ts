/**
 * How failures are told to clients: one row for each code, with the reply that
 * SOCKS has for it, the one that Tor's clients know, and the page that HTTP shows.
 *
 * Nothing a client or service sent appears in a page or reply, so there is
 * nothing to escape and nothing to leak.
 *
 * @see protocol §8.2 "Errors"
 * @see {@link https://spec.torproject.org/socks-extensions.html | Tor's SOCKS extensions}
 * @module
 */
import {
  AnonNetError,
  BugError,
  ConfigError,
  errorCode,
  ProtocolError,
  UnreachableError,
} from "../base/errors.ts";

/** Reply bytes of SOCKS5 (RFC 1928 §6). */
export const SOCKS_REPLY = {
  succeeded: 0x00,
  failed: 0x01,
  notAllowed: 0x02,
  networkUnreachable: 0x03,
  hostUnreachable: 0x04,
  refused: 0x05,
  timedOut: 0x06,
  commandUnsupported: 0x07,
  addressUnsupported: 0x08,
} as const;

/** One of the reply bytes that every SOCKS5 client knows. */
export type SocksReply = (typeof SOCKS_REPLY)[keyof typeof SOCKS_REPLY];

/** Reply bytes that Tor added, for clients that can take them. */
export const EXTENDED_REPLY = {
  descriptorNotFound: 0xf0,
  descriptorInvalid: 0xf1,
  introductionFailed: 0xf2,
  rendezvousFailed: 0xf3,
  authorisationMissing: 0xf4,
  authorisationWrong: 0xf5,
  badAddress: 0xf6,
  introductionTimedOut: 0xf7,
} as const;

/** One of the reply bytes that Tor added. */
export type ExtendedReply =
  (typeof EXTENDED_REPLY)[keyof typeof EXTENDED_REPLY];

/** What a client is told. */
export interface Failure {
  /** A code of protocol §8.2 "Errors". */
  readonly code: string;
  readonly reply: SocksReply;
  readonly extended: ExtendedReply | undefined;
  /** HTTP status, 400 to 599. */
  readonly status: number;
  /** Plain text, a few words. */
  readonly title: string;
  /** Plain text, what happened and what to do, in a sentence or two. */
  readonly text: string;
}

type Row = Omit<Failure, "code">;

function row(
  reply: keyof typeof SOCKS_REPLY,
  extended: keyof typeof EXTENDED_REPLY | undefined,
  status: number,
  title: string,
  text: string,
): Row {
  return {
    reply: SOCKS_REPLY[reply],
    extended: extended === undefined ? undefined : EXTENDED_REPLY[extended],
    status,
    title,
    text,
  };
}

const BAD_REQUEST = row(
  "failed",
  undefined,
  400,
  "Bad request",
  "The proxy cannot make sense of this request, or it could mean two things.",
);

const FAILED = row(
  "failed",
  undefined,
  500,
  "Something went wrong in the proxy",
  "This is a fault of the program, not of the service. Its log says more.",
);

const UNREACHABLE = row(
  "hostUnreachable",
  undefined,
  503,
  "Service unreachable",
  "The network could not carry the connection to this service. Try again in a moment.",
);

const NO_CIRCUIT = row(
  "networkUnreachable",
  undefined,
  503,
  "No circuits can be built",
  "",
);

const BAD_ADDRESS = row(
  "hostUnreachable",
  "badAddress",
  400,
  "This is not a .anon address",
  "The 56 characters before .anon are not those of an address. Copy the address again, whole.",
);

const ROWS: ReadonlyMap<string, Row> = new Map(Object.entries({
  "proxy.not_anon": row(
    "notAllowed",
    undefined,
    403,
    "Only .anon addresses are reachable",
    "AnonNet has no exits to the ordinary Internet. This request went nowhere, and no name was looked up for it.",
  ),
  "proxy.port": row(
    "notAllowed",
    undefined,
    400,
    "This port does not exist",
    "Ports go from 1 to 65535.",
  ),
  "proxy.busy": row(
    "failed",
    undefined,
    503,
    "The proxy is busy",
    "Too many connections are open. Close some, or try again in a moment.",
  ),
  "proxy.shutdown": row(
    "failed",
    undefined,
    503,
    "The proxy is stopping",
    "AnonNet is shutting down on this machine. Start it again, and reload.",
  ),
  "proxy.foreign_host": row(
    "notAllowed",
    undefined,
    403,
    "This request was meant for another host",
    "It came straight to the proxy with the name of some other host. Set this address as the HTTP proxy of your program instead.",
  ),
  "service.not_found": row(
    "hostUnreachable",
    "descriptorNotFound",
    502,
    "Service not found",
    "The address is well-formed, but no service has been announced under it lately: it is offline, or was never there.",
  ),
  "service.not_of_network": row(
    "hostUnreachable",
    "descriptorNotFound",
    502,
    "This .onion address is not of this network",
    "No service of AnonNet has its key: it is offline, or the address is one of Tor's. Tor was not asked, and no other network was.",
  ),
  "service.descriptor_invalid": row(
    "hostUnreachable",
    "descriptorInvalid",
    502,
    "Service description unusable",
    "What was found under this address does not check out. It was not used.",
  ),
  "service.introduction": row(
    "hostUnreachable",
    "introductionFailed",
    503,
    "Service unreachable",
    "None of the service's introduction points could reach it. It may have gone offline a moment ago.",
  ),
  "service.rendezvous": row(
    "hostUnreachable",
    "rendezvousFailed",
    503,
    "Service unreachable",
    "The service was asked, but no connection to it came about. Try again in a moment.",
  ),
  "proxy.unmapped": row(
    "hostUnreachable",
    undefined,
    502,
    "An address that stands for no name",
    "The proxy gave it to no client, to another one, or too long ago. Resolve the name again.",
  ),
  "service.authorisation_missing": row(
    "hostUnreachable",
    "authorisationMissing",
    403,
    "This service is for authorised clients",
    "Reaching it takes a client key, and none is configured for it.",
  ),
  "service.authorisation_wrong": row(
    "hostUnreachable",
    "authorisationWrong",
    403,
    "This service does not know your client key",
    "A client key is configured for it, but it does not open its description.",
  ),
  "service.introduction_timeout": row(
    "timedOut",
    "introductionTimedOut",
    504,
    "The service did not answer",
    "Its introduction points took the request, and nothing came back in time.",
  ),
  "service.busy": row(
    "hostUnreachable",
    undefined,
    503,
    "Too many visits at once",
    "The proxy begins as many visits as the network can carry at the moment. Try again in a few seconds.",
  ),
  "service.session_lost": row(
    "failed",
    undefined,
    503,
    "The service was started anew",
    "The connection that this request went over does not exist there any more, and a new one is made for the next. Try again; the service may have seen the request.",
  ),
  "service.unreachable": UNREACHABLE,
  "service.refused": row(
    "refused",
    undefined,
    502,
    "Connection refused",
    "The service is online, but the program behind it does not take connections at the moment.",
  ),
  "service.no_port": row(
    "refused",
    undefined,
    502,
    "Nothing at this port",
    "The service is online, but offers nothing at this port.",
  ),
  "service.timeout": row(
    "timedOut",
    undefined,
    504,
    "The service did not answer in time",
    "It may be overloaded, or the network slow. Try again in a moment.",
  ),
  "service.bad_response": row(
    "failed",
    undefined,
    502,
    "Unusable answer",
    "The program behind the service ended the connection without an answer, or answered with something that is not HTTP.",
  ),
  "socks.command": row(
    "commandUnsupported",
    undefined,
    400,
    "Bad request",
    "Only CONNECT is supported.",
  ),
  "socks.address_type": {
    ...BAD_REQUEST,
    reply: SOCKS_REPLY.addressUnsupported,
  },
  "http.timeout": row(
    "failed",
    undefined,
    408,
    "Request timed out",
    "The request did not arrive whole in time.",
  ),
  "http.head_too_large": row(
    "failed",
    undefined,
    431,
    "Request header too large",
    "The header fields of this request are too many or too long. Clearing the cookies of this site may help.",
  ),
  "http.target_too_long": row(
    "failed",
    undefined,
    414,
    "Address too long",
    "The address of this request is longer than the proxy takes.",
  ),
  "http.version": row(
    "failed",
    undefined,
    505,
    "HTTP version not supported",
    "The proxy speaks HTTP/1.1 and HTTP/1.0.",
  ),
  "http.method": row(
    "failed",
    undefined,
    405,
    "Method not allowed",
    "The proxy does not take this method here.",
  ),
  "http.scheme": row(
    "failed",
    undefined,
    400,
    "Only http:// goes this way",
    "For https:// and everything else a client must ask for a tunnel with CONNECT. Set this proxy for HTTPS too, not only for HTTP.",
  ),
  "http.not_found": row(
    "failed",
    undefined,
    404,
    "No such page",
    "The proxy itself has only /, /strict.pac, and /proxy.pac, which is /wpad.dat too.",
  ),
}));

const COPY_AGAIN = "Copy the address again, whole.";

const TRIES_ON = "This node goes on trying: try again in a moment. " +
  "The service has nothing to do with it.";

/** Whether an error is a fault of this program, to be reported: no client's, no network's. */
export function isOwnFault(error: unknown): boolean {
  return error instanceof BugError || !(error instanceof AnonNetError);
}

/** What a client is told about an error, ours or a stranger's. */
export function describeFailure(error: unknown): Failure {
  const code = errorCode(error);
  const known = ROWS.get(code);
  if (known !== undefined) return { code, ...known };
  if (code.startsWith("service.address_")) {
    if (!(error instanceof ConfigError)) return { code, ...BAD_ADDRESS };
    // Words of this node about the address, without it.
    return { code, ...BAD_ADDRESS, text: `${error.message}. ${COPY_AGAIN}` };
  }
  if (error instanceof AnonNetError && code.startsWith("path.")) {
    // Figures and words of this node alone: the error is of its own making.
    return { code, ...NO_CIRCUIT, text: `${error.message}. ${TRIES_ON}` };
  }
  if (error instanceof ProtocolError && /^(http|socks)\./.test(code)) {
    return { code, ...BAD_REQUEST };
  }
  if (error instanceof UnreachableError || error instanceof ProtocolError) {
    return { code: "service.unreachable", ...UNREACHABLE };
  }
  return { code: "proxy.failed", ...FAILED };
}
