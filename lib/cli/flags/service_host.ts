/**
 * The address of a service as people paste it: alone, out of a browser, or cut
 * before its end.
 *
 *     http://www.<56 characters>.anon:8080/page     the host of it
 *     <56 characters>                               with .anon behind it
 *
 * @module
 */

/** The part that is the service's own. Whether it is an address is for others to judge. */
export function serviceHostIn(word: string): string {
  const host = word.trim()
    .replace(/^[a-z][a-z0-9+]*:\/\//i, "")
    .replace(/[/?#][^]*$/, "")
    .replace(/:[0-9]*$/, "");
  return /^[a-z2-7]{56}$/i.test(host) ? `${host}.anon` : host;
}
