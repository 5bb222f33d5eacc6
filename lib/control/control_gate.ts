/**
 * Who may speak to the control interface: programs that can read the note, and
 * no web page, whatever it makes a browser send.
 *
 *     POST /v1/<command>
 *     Host: <exactly where we listen>        a rebound name is another host
 *     Authorization: Bearer <token>          only who can read the note knows it
 *     Content-Type: application/json         a form cannot send it, and a script
 *     no Origin, no Sec-Fetch-Site           must ask first: that is refused too
 *
 * @see protocol §9.3 "Control interface"
 * @module
 */
import { equalSecret, utf8 } from "../base/bytes.ts";
import { formatSocketAddress } from "../auth/socket_address.ts";
import type { ControlPlace } from "./control_note.ts";

/** The host that a request over a unix socket names; no such host exists. */
const UNIX_HOST = "control.anonnet.invalid";

const PATH = /^\/v1\/([a-z][a-z-]{0,31})$/;

/** The `Host` header that a request to `place` carries. */
export function controlHost(place: ControlPlace): string {
  return place.type === "unix" ? UNIX_HOST : formatSocketAddress(place.address);
}

/**
 * Let a request in.
 *
 * @returns The command it asks for, or `undefined` when anything about it is not
 * as it must be. Which thing that was, the sender does not learn.
 */
export function admitRequest(
  request: Pick<Request, "method" | "url" | "headers">,
  place: ControlPlace,
  token: string,
): string | undefined {
  const { headers } = request;
  // The token first and always, so that time tells nothing of the rest.
  const isTrusted = equalSecret(
    utf8(headers.get("authorization") ?? ""),
    utf8(`Bearer ${token}`),
  );
  // No URL at all where the sender wrote a host of other characters.
  const command = PATH.exec(URL.parse(request.url)?.pathname ?? "")?.[1];
  const isOurs = request.method === "POST" &&
    headers.get("host") === controlHost(place) &&
    headers.get("content-type") === "application/json" &&
    !headers.has("origin") && !headers.has("sec-fetch-site");
  return isTrusted && isOurs ? command : undefined;
}
