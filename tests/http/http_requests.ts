/**
 * Requests that the tests of the HTTP proxy send.
 *
 * @module
 */
import { head } from "./smuggling_corpus.ts";
import { HOST } from "../proxy/world.ts";

/** A GET request by way of a proxy. */
export function get(path: string, ...fields: string[]): string {
  return head(`GET http://${HOST}${path} HTTP/1.1`, `Host: ${HOST}`, ...fields);
}

/** The head of a POST request; its fields say what body follows. */
export function post(...fields: string[]): string {
  return head(`POST http://${HOST}/ HTTP/1.1`, `Host: ${HOST}`, ...fields);
}

/** The plainest request. */
export const GET = get("/");

/** Asks for a tunnel, and what the proxy says when there is one. */
export const CONNECT = head(
  `CONNECT ${HOST}:443 HTTP/1.1`,
  `Host: ${HOST}:443`,
);
export const ESTABLISHED = "HTTP/1.1 200 Connection established\r\n\r\n";
