/**
 * The note that a running node leaves in its state directory for the commands
 * of the same user: where its control interface is, and the token.
 *
 *     anonnet-control v1
 *     unix:control-socket            or  tcp:127.0.0.1:4101
 *     pmk2c5l7hm2mkhsqa7a4ta4s6ylzg33pfnvwwqrzg4gq5mmxhzba
 *
 * The path of a socket begins where the note lies, so that it does not matter
 * from where either program was started.
 *
 * @see protocol §9.3 "Control interface"
 * @module
 */
import { formatBase32 } from "../base/bytes.ts";
import { ConfigError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import {
  formatSocketAddress,
  parseSocketAddress,
  type SocketAddress,
} from "../auth/socket_address.ts";

/** Where a control interface listens. */
export type ControlPlace =
  | { readonly type: "unix"; readonly path: string }
  | { readonly type: "tcp"; readonly address: SocketAddress };

/** What the note says. */
export interface ControlNote {
  readonly place: ControlPlace;
  /** The secret that each request carries. */
  readonly token: string;
}

const TITLE = "anonnet-control v1";
const TOKEN_BYTES = 32;

/** A token that no attacker guesses: 256 bits, 52 characters. */
export function newControlToken(random: Random): string {
  return formatBase32(random.bytes(TOKEN_BYTES));
}

/** Text of a place, as in the note. */
function formatControlPlace(place: ControlPlace): string {
  return place.type === "unix"
    ? `unix:${place.path}`
    : `tcp:${formatSocketAddress(place.address)}`;
}

/** The text of a note. */
export function formatControlNote(note: ControlNote): string {
  return `${TITLE}\n${formatControlPlace(note.place)}\n${note.token}\n`;
}

/**
 * Read what {@linkcode formatControlNote} made.
 *
 * @throws {ConfigError} `control.note` for anything else.
 */
export function parseControlNote(text: string): ControlNote {
  const [title, placeText = "", token = "", ...rest] = text.split("\n");
  const [type] = placeText.split(":", 1);
  const where = placeText.slice(`${type}:`.length);
  const isWhole = title === TITLE && /^[a-z2-7]{52}$/.test(token) &&
    where !== "" && rest.length === 1 && rest[0] === "";
  if (isWhole && type === "unix") {
    return { place: { type, path: where }, token };
  }
  if (isWhole && type === "tcp") {
    return { place: { type, address: parseSocketAddress(where) }, token };
  }
  throw new ConfigError(
    "control.note",
    "Cannot read where the control interface is: the note is not one that " +
      "this version writes; restart the node",
  );
}
