/**
 * What a node prints once all of it works: a line for programs, or what a person
 * does next.
 *
 * @see protocol §9.2 "Start and stop"
 * @module
 */
import { formatNodeAddress } from "../../auth/node_address.ts";
import {
  formatSocketAddress,
  type SocketAddress,
} from "../../auth/socket_address.ts";
import type { ControlPlace } from "../../control/control_note.ts";
import type { JsonValue } from "../../control/json.ts";
import type { Node } from "../../node/node.ts";
import type { ReadyRelay } from "../../node/relay_role.ts";

/** The line of `--ready-json`. @param more What a command adds, or says in other words. */
export function formatReadyLine(
  node: Node,
  more: Readonly<Record<string, JsonValue>> = {},
): string {
  const { address, proxies, controlPlace, metricsAddress, services } = node;
  const { torControl } = node;
  return JSON.stringify({
    event: "ready",
    address: address ? formatNodeAddress(address) : null,
    socks: placeOf(proxies?.socks),
    http: placeOf(proxies?.http),
    control: controlPlace ? textOf(controlPlace) : null,
    metrics: placeOf(metricsAddress),
    torControl: placeOf(torControl?.address),
    services: services.map(({ status: { name, host, ports } }) => ({
      name,
      host,
      ports,
    })),
    ...more,
  });
}

/** Lines for a person, beside those of the relay, which come first. */
export function formatReadyText(node: Node): string[] {
  return [...serviceLines(node), ...proxyLines(node)];
}

/** Lines for a person, as soon as the dashboard is open. */
export function formatDashboardText(url: string): string[] {
  return [
    "The dashboard is open. One browser, within an hour, gets in by",
    "",
    `    ${url}`,
    "",
    "and others by the addresses that anonnet dashboard prints.",
  ];
}

/** Lines for a person, as soon as a relay is ready. */
export function formatRelayText(
  { address, knowsOthers }: ReadyRelay,
): string[] {
  if (address === undefined && !knowsOthers) {
    return [
      "The relay is ready, but no node can join the network by it yet: it does not",
      "know its address, and knows no other relay that could tell it. Start it again",
      "with --advertise IP:PORT, or with --listen on that address",
    ];
  }
  if (address === undefined) {
    return [
      "The relay is ready; where others can dial it will turn out when a few " +
      "have answered, or give --advertise",
    ];
  }
  return [
    "The relay is ready. Others join the network by it with",
    "",
    `    --bootstrap ${formatNodeAddress(address)}`,
    "",
  ];
}

/** Lines for a person, when all workers of a relay are ready. */
export function formatWorkersText(
  addresses: readonly (string | null)[],
): string[] {
  const known = addresses.filter((address) => address !== null);
  const [first] = known;
  if (first === undefined) {
    return [
      `The relay is ready, with ${addresses.length} workers; where others can dial ` +
      "them will turn out when a few have answered, or give --advertise",
    ];
  }
  return [
    `The relay is ready, with ${addresses.length} workers. Others join the network by ` +
    "any of them with",
    "",
    ...known.map((address) => `    --bootstrap ${address}`),
    "",
  ];
}

function serviceLines({ services }: Node): string[] {
  return services.flatMap(({ status: { name, host, ports } }) => [
    `The service "${name}" can be reached at`,
    "",
    ...ports.map((port) => `    ${urlOf(host, port)}`),
    "",
  ]);
}

/** A web address where the port is that of the web, a host and port otherwise. */
function urlOf(host: string, port: number): string {
  return port === 80 ? `http://${host}/` : `${host}:${port}`;
}

function proxyLines({ proxies, services: [service] }: Node): string[] {
  const { socks, http } = proxies ?? {};
  const site = `http://${service?.host ?? "ADDRESS.anon"}/`;
  return [
    ...socks === undefined ? [] : [
      `The SOCKS5 proxy is open at ${formatSocketAddress(socks)}; try it with`,
      "",
      `    curl --proxy socks5h://${formatSocketAddress(socks)} ${site}`,
      "",
      "(Mind the h: with socks5:// curl tells a name server whom you visit.)",
      "",
    ],
    ...http === undefined ? [] : [
      `The HTTP proxy is open at ${
        formatSocketAddress(http)
      }. A browser profile takes`,
      `its settings from`,
      "",
      `    http://${formatSocketAddress(http)}/strict.pac`,
      "",
      "which sends everything here: what is not .anon is refused. (With /proxy.pac",
      "everything else goes where it went before, and pages can make it do so.)",
    ],
  ];
}

function placeOf(address: SocketAddress | undefined): string | null {
  return address === undefined ? null : formatSocketAddress(address);
}

function textOf(place: ControlPlace): string {
  return place.type === "unix"
    ? `unix:${place.path}`
    : formatSocketAddress(place.address);
}
