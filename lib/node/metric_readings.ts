/**
 * Reads the metrics of a node out of its parts, as they are: what is shown of them
 * is up to the board.
 *
 * @see protocol §9.3 "Control interface"
 * @module
 */
import type { FamilyName, MetricSample } from "../metrics/metric_families.ts";
import type { ClientRole } from "./client_role.ts";
import type { NodeParts } from "./node_parts.ts";
import type { NodeProxies } from "./node_proxies.ts";
import type { AccountingStatus } from "./relay/accounting.ts";
import { familyStatus } from "./relay/family_key.ts";
import type { RelayRole } from "./relay_role.ts";

/** What the process knows beside its node. */
export interface ProcessFacts {
  /** Of the program. */
  readonly version: string;
  readonly uptimeMs: number;
  /** `undefined` where the machine does not tell. */
  readonly memoryBytes: number | undefined;
}

/** Everything, as far as the parts of the node have been started. */
export function readMetrics(
  parts: NodeParts,
  facts: ProcessFacts,
): MetricSample[] {
  const { relay, client, proxies } = parts;
  return [
    ...readNode(parts, facts),
    ...relay === undefined ? [] : readRelay(relay),
    ...relay === undefined ? [] : readAllowance(relay),
    ...relay === undefined ? [] : readDht(relay),
    ...readCircuitsState(parts),
    ...client === undefined ? [] : readClient(client),
    ...client === undefined ? [] : readServices(client),
    ...proxies === undefined ? [] : readProxies(proxies),
  ];
}

function readNode(
  parts: NodeParts,
  { version, uptimeMs, memoryBytes }: ProcessFacts,
): MetricSample[] {
  const { relay, client, proxies, state, clockDoubt, awaited } = parts;
  const relays = relay?.dht.relays ?? client?.relays;
  const hasServices = (client?.services.status.length ?? 0) > 0;
  return [
    sample("anonnet_build", 1, version),
    sample("anonnet_process_uptime_seconds", uptimeMs / 1000),
    ...memoryBytes === undefined
      ? []
      : [sample("anonnet_process_resident_memory_bytes", memoryBytes)],
    sample("anonnet_role", bit(relay !== undefined), "relay"),
    sample("anonnet_role", bit(client !== undefined), "client"),
    sample("anonnet_role", bit(hasServices), "service"),
    sample("anonnet_role", bit(proxies !== undefined), "proxy"),
    sample("anonnet_state_usable", bit(state.trouble === undefined)),
    sample("anonnet_clock_wrong", bit(clockDoubt !== undefined)),
    sample(
      "anonnet_known_relays",
      relays?.snapshot().length ?? awaited?.().known ?? 0,
    ),
  ];
}

function readRelay({ links, circuits, reach }: RelayRole): MetricSample[] {
  const { status: { state: reached } } = reach;
  const { failedHandshakes, turnedAway: refused } = links.stats;
  const inbound = links.links.filter(({ direction }) =>
    direction === "inbound"
  );
  const { stats, carried } = circuits;
  const { creating, closing, ...opened } = stats.states;
  return [
    ...oneOf("anonnet_relay_reach", reached, REACH_STATES),
    sample("anonnet_relay_overloaded", bit(links.load === "overloaded")),
    sample("anonnet_relay_connections", inbound.length, "received"),
    sample(
      "anonnet_relay_connections",
      links.links.length - inbound.length,
      "initiated",
    ),
    sample("anonnet_relay_connections_refused", failedHandshakes, "handshake"),
    sample("anonnet_relay_connections_refused", refused, "room"),
    sample("anonnet_relay_carried_bytes", carried.forwardBytes, "forward"),
    sample("anonnet_relay_carried_bytes", carried.backwardBytes, "backward"),
    sample("anonnet_relay_circuits", creating, "opening"),
    sample(
      "anonnet_relay_circuits",
      Object.values(opened).reduce((sum, count) => sum + count, 0),
      "opened",
    ),
    sample("anonnet_relay_circuits", closing, "closing"),
    sample("anonnet_relay_load_onionskins", stats.created, "processed"),
    sample("anonnet_relay_load_onionskins", stats.turnedAway, "dropped"),
    ...Object.entries(stats.ends).map(([reason, count]) =>
      sample("anonnet_relay_circuits_ended", count, reason)
    ),
    sample("anonnet_relay_queue_bytes", stats.waitingBytes),
    sample("anonnet_relay_queue_limit_bytes", stats.quotaBytes),
  ];
}

/** What its operator allows it, and which relays are of one with it. */
function readAllowance(
  { allowance, record, dht }: RelayRole,
): MetricSample[] {
  const { limits: { rate }, accounting } = allowance;
  const family = familyStatus(record.current, dht.relays.snapshot());
  return [
    ...rate === undefined
      ? []
      : [sample("anonnet_relay_rate_limit_bytes", rate)],
    ...accounting === undefined ? [] : readAccounting(accounting),
    ...family === undefined ? [] : [
      sample("anonnet_relay_family", family.relays, "members"),
      sample("anonnet_relay_family", family.strangers, "strangers"),
    ],
  ];
}

function readAccounting(
  { state, bytes, limitBytes, untilMs }: AccountingStatus,
): MetricSample[] {
  const left = Math.max(0, limitBytes - bytes);
  return [
    ...oneOf("anonnet_relay_accounting", state, ACCOUNTING_STATES),
    sample("anonnet_relay_accounting_bytes", bytes, "used"),
    sample("anonnet_relay_accounting_bytes", left, "left"),
    sample("anonnet_relay_accounting_limit_bytes", limitBytes),
    sample("anonnet_relay_accounting_period_end_seconds", untilMs / 1000),
  ];
}

function readDht({ dht: { status } }: RelayRole): MetricSample[] {
  return [
    sample("anonnet_dht_joined", bit(status.joined)),
    sample("anonnet_dht_contacts", status.contacts),
    sample("anonnet_dht_records", status.records),
    sample("anonnet_dht_requests", status.sent, "sent"),
    sample("anonnet_dht_requests", status.served, "served"),
  ];
}

function readCircuitsState({ client, awaited }: NodeParts): MetricSample[] {
  const facts = client?.circuits.facts ?? awaited?.();
  if (facts === undefined) return [];
  return oneOf("anonnet_client_circuits_state", facts.state, CIRCUIT_STATES);
}

function readClient({ circuits, visits }: ClientRole): MetricSample[] {
  const { circuits: all, counts, guards } = circuits.status;
  const inUse = guards.filter(({ isInUse }) => isInUse);
  const silent = inUse.filter(({ failures }) => failures > 0);
  const count = (state: string) =>
    sample(
      "anonnet_client_circuits",
      all.filter((circuit) => circuit.state === state).length,
      state,
    );
  const builds = "anonnet_client_circuit_builds";
  const requests = "anonnet_client_circuit_requests";
  const { sessions, streams } = visits.status;
  return [
    sample("anonnet_client_guards", inUse.length - silent.length, "answering"),
    sample("anonnet_client_guards", silent.length, "silent"),
    count("building"),
    count("unused"),
    count("used"),
    sample(builds, counts.built, "built"),
    sample(builds, counts.failed, "failed"),
    sample(builds, counts.timedOut, "timed_out"),
    sample("anonnet_client_circuits_lost", counts.lost),
    sample(requests, counts.servedAtOnce, "at_once"),
    sample(requests, counts.servedLater, "later"),
    sample(requests, counts.unserved, "unserved"),
    sample("anonnet_client_sessions", sessions),
    sample("anonnet_client_streams", streams),
  ];
}

function readServices({ services }: ClientRole): MetricSample[] {
  return services.status.flatMap((service) => {
    // Never its address: a monitoring system keeps what it reads for years.
    const { name } = service;
    return [
      sample("anonnet_hs_reachable", bit(service.reachable), name),
      sample("anonnet_hs_intro_established", service.points, name),
      sample("anonnet_hs_intro_num", service.introductions, name),
      sample("anonnet_hs_intro_shed", service.shed, name),
      sample("anonnet_hs_sessions", service.sessions, name),
      sample("anonnet_hs_streams", service.streams, name),
    ];
  });
}

function readProxies(
  { socks, http, connections }: NodeProxies,
): MetricSample[] {
  return [
    sample("anonnet_proxy_open", bit(socks !== undefined), "socks"),
    sample("anonnet_proxy_open", bit(http !== undefined), "http"),
    sample("anonnet_proxy_connections", connections),
  ];
}

const REACH_STATES = ["reached", "not_reached", "unknown"] as const;
const ACCOUNTING_STATES = ["awake", "draining", "asleep"] as const;
const CIRCUIT_STATES = [
  "fine",
  "guards_down",
  "guards_missing",
  "too_few_relays",
] as const;

/** A series for each state: 1 for the one that holds. */
function oneOf<State extends string>(
  family: FamilyName,
  current: State,
  states: readonly State[],
): MetricSample[] {
  return states.map((state) => sample(family, bit(state === current), state));
}

function sample(
  family: FamilyName,
  value: number,
  ...labels: string[]
): MetricSample {
  return { family, labels, value };
}

function bit(condition: boolean): number {
  return condition ? 1 : 0;
}
