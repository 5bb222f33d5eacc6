/**
 * Isolation keys: what a client says to keep its activities apart. A user name
 * and password are never checked against anything; two different pairs never
 * share a circuit. The same pair means the same over SOCKS and HTTP.
 *
 *     SOCKS user name and password      "b:" length of name ":" name password
 *     Proxy-Authorization: Basic …      the same
 *     Proxy-Authorization: other        "o:" value
 *     neither                           undefined
 *
 * @see protocol §8.1 "Targets and isolation"
 * @module
 */

/** The key of a user name and a password, as Latin-1 text. */
export function passwordIsolation(name: string, password: string): string {
  // With its length in front, ("ab", "c") and ("a", "bc") stay apart.
  return `b:${name.length}:${name}${password}`;
}

/**
 * The key of a `Proxy-Authorization` value. Any value is one: a client that sends
 * nonsense still wants to be kept apart from those who do not.
 */
export function authorizationIsolation(value: string): string {
  const [, token = ""] = /^basic +([a-z0-9+/]+={0,2})$/i.exec(value) ?? [];
  const pair = token === "" ? undefined : decodeBase64(token);
  const colon = pair?.indexOf(":") ?? -1;
  if (pair === undefined || colon < 0) return `o:${value}`;
  return passwordIsolation(pair.slice(0, colon), pair.slice(colon + 1));
}

function decodeBase64(text: string): string | undefined {
  try {
    return atob(text);
  } catch {
    return undefined; // not base64, which is nothing wrong here
  }
}
