/**
 * What goes on to the other side: heads written anew, from what was understood.
 *
 *     client's request  ─▶  without fields between client and proxy  ─▶  service
 *     client            ◀─  without fields between proxy and service  ◀─  response
 *
 * No `Via` and no `Forwarded`: the service must not learn what a client runs.
 *
 * @see protocol §8.4 "HTTP"
 * @module
 */
import type { BodyLength } from "./body.ts";
import {
  endToEndFields,
  fieldOptions,
  fieldValues,
  formatHead,
  type HttpField,
  httpField,
} from "./head.ts";
import type { RequestHead } from "./request.ts";
import type { ResponseHead } from "./response.ts";

/** A request that is to be forwarded. */
export type AbsoluteRequest = RequestHead & {
  readonly target: { readonly type: "absolute" };
};

/** Methods that may be asked twice without harm (RFC 9110 §9.2.2). */
const IDEMPOTENT = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE"]);

/** Whether a request can be sent a second time: harmless, and with nothing consumed. */
export function canRetry(request: RequestHead): boolean {
  return IDEMPOTENT.has(request.method) && request.body.type === "none";
}

/** Whether the client wants to send another request on its connection. */
export function wantsKeepAlive(request: RequestHead): boolean {
  if (request.version === "1.0") return false;
  return !["connection", "proxy-connection"].some((key) =>
    fieldOptions(request.fields, key).includes("close")
  );
}

/** The one protocol that may be changed to: whatever else is offered, goes no further. */
const UPGRADE = "websocket";

/** Whether a request wants to change to a WebSocket, and may. */
function wantsUpgrade({ fields, version, body }: RequestHead): boolean {
  return version === "1.1" && body.type === "none" &&
    fieldOptions(fields, "upgrade").includes(UPGRADE) &&
    fieldOptions(fields, "connection").includes("upgrade");
}

/** Whether a response of status 101 is one that the client has asked for. */
export function isSwitch(
  { fields }: ResponseHead,
  request: RequestHead,
): boolean {
  const protocols = fieldOptions(fields, "upgrade");
  return wantsUpgrade(request) && protocols.length === 1 &&
    protocols[0] === UPGRADE;
}

const UPGRADE_FIELDS = [
  httpField("Connection", "Upgrade"),
  httpField("Upgrade", UPGRADE),
];

/** Fields that we write ourselves, or that must not pass. */
const REQUEST_REPLACED = new Set(["host", "content-length"]);

/** The head for the service. */
export function formatRequest(request: AbsoluteRequest): string {
  const { method, target, body, version } = request;
  const host = target.host.toLowerCase();
  const fields = [
    httpField("Host", target.port === 80 ? host : `${host}:${target.port}`),
    ...endToEndFields(request.fields).filter(({ key }) =>
      !REQUEST_REPLACED.has(key) &&
      // A client of HTTP/1.0 does not wait for the "100 Continue" it asks for.
      !(key === "expect" && version === "1.0")
    ),
    ...requestFraming(request.fields, body),
  ];
  if (wantsUpgrade(request)) fields.push(...UPGRADE_FIELDS);
  return formatHead(`${method} ${target.path} HTTP/1.1`, fields);
}

function requestFraming(
  fields: readonly HttpField[],
  body: BodyLength,
): HttpField[] {
  switch (body.type) {
    case "length":
      return [httpField("Content-Length", String(body.bytes))];
    case "chunked":
      return [httpField("Transfer-Encoding", "chunked")];
    default: {
      // "Content-Length: 0" says of a POST that it has no body; keep it.
      const isSaid = fields.some(({ key }) => key === "content-length");
      return isSaid ? [httpField("Content-Length", "0")] : [];
    }
  }
}

/**
 * Fields that stay here: the length is written anew, and an alternative service
 * would lead the browser past this proxy.
 */
const RESPONSE_DROPPED = new Set(["content-length", "alt-svc"]);

/** The head for the client. */
export function formatResponse(
  response: ResponseHead,
  request: RequestHead,
  connection: "close" | "keep-alive",
): string {
  return formatHead(statusLine(response), [
    ...passedFields(response),
    ...responseFraming(response, request),
    httpField("Connection", connection),
  ]);
}

/** An interim response (1xx), which has no length. */
export function formatInterim(response: ResponseHead): string {
  return formatHead(statusLine(response), passedFields(response));
}

/** The response that changes the protocol. */
export function formatSwitch(response: ResponseHead): string {
  return formatHead(statusLine(response), [
    ...passedFields(response),
    ...UPGRADE_FIELDS,
  ]);
}

function statusLine({ status, reason }: ResponseHead): string {
  return `HTTP/1.1 ${status} ${reason}`;
}

function passedFields({ fields }: ResponseHead): HttpField[] {
  return endToEndFields(fields)
    .filter(({ key }) => !RESPONSE_DROPPED.has(key));
}

function responseFraming(
  { body, fields, status }: ResponseHead,
  { method, version }: RequestHead,
): HttpField[] {
  switch (body.type) {
    case "length":
      return [httpField("Content-Length", String(body.bytes))];
    case "chunked":
    case "close":
      return version === "1.0"
        ? []
        : [httpField("Transfer-Encoding", "chunked")];
    case "none": {
      // What a GET would have had: told, and not sent.
      const isTold = method === "HEAD" || status === 304;
      const [length, ...others] = new Set(
        fieldValues(fields, "content-length"),
      );
      const isNumber = length !== undefined && /^[0-9]{1,15}$/.test(length);
      return isTold && isNumber && others.length === 0
        ? [httpField("Content-Length", length)]
        : [];
    }
  }
}
