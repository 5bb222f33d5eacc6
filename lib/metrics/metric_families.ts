/**
 * What a node tells a monitoring system: every family of metrics, in the order in
 * which they are written.
 *
 * Names are those of Tor's MetricsPort, with our prefix, where they mean the same:
 * `tor_relay_load_onionskins_total` is `anonnet_relay_load_onionskins_total`. What
 * OpenMetrics does not allow is left out of them: a gauge ends in neither `_total`
 * nor `_count`.
 *
 * No label holds an address, a key, or anything that a stranger chooses. Their values
 * come from closed sets, and from the names of services, of which there are few.
 *
 * @see protocol §9.3 "Control interface"
 * @see {@link https://prometheus.io/docs/specs/om/open_metrics_spec/ | OpenMetrics 1.0}
 * @module
 */

/** Metrics of one name. */
export interface MetricFamily {
  readonly type: "gauge" | "counter" | "info";
  /** The name ends in it. */
  readonly unit?: "bytes" | "seconds";
  /** A sentence, for the operator. */
  readonly help: string;
  readonly labels: readonly string[];
  /**
   * Values are told in multiples of this, and change at whole minutes alone: they
   * count what others do. Without it they are told as they are, at once.
   */
  readonly step?: number;
}

/** Circuits, streams and the like are told in eights, as Tor's relays round theirs. */
const EIGHT = 8;
const MIB = 1024 * 1024;
const MINUTE_SECONDS = 60;

/** All families, by name. */
export const METRIC_FAMILIES = {
  anonnet_build: {
    type: "info",
    help: "The version of the program",
    labels: ["version"],
  },
  anonnet_process_uptime_seconds: {
    type: "gauge",
    unit: "seconds",
    help: "Time since the node was started",
    labels: [],
    step: MINUTE_SECONDS,
  },
  anonnet_process_resident_memory_bytes: {
    type: "gauge",
    unit: "bytes",
    help: "Memory that the process takes",
    labels: [],
    step: MIB,
  },
  anonnet_role: {
    type: "gauge",
    help: "1 for what the node is, 0 for what it is not, or not yet",
    labels: ["role"],
  },
  anonnet_state_usable: {
    type: "gauge",
    help: "Whether the state directory is there and can be written",
    labels: [],
  },
  anonnet_clock_wrong: {
    type: "gauge",
    help:
      "Whether other nodes say that the clock of this one is wrong; 0 once it is right",
    labels: [],
  },
  anonnet_known_relays: {
    type: "gauge",
    help: "Relays on the list that the node uses",
    labels: [],
  },

  anonnet_relay_reach: {
    type: "gauge",
    help:
      "Whether other relays reach this one at what it advertises: 1 for the state that holds",
    labels: ["state"],
  },
  anonnet_relay_overloaded: {
    type: "gauge",
    help:
      "Whether the relay turns newcomers away because it has too much to do",
    labels: [],
  },
  anonnet_relay_connections: {
    type: "gauge",
    help: "Links with other nodes, by the side that dialled",
    labels: ["direction"],
    step: EIGHT,
  },
  anonnet_relay_connections_refused: {
    type: "counter",
    help: "Connections towards the relay that did not become links",
    labels: ["reason"],
    step: EIGHT,
  },
  anonnet_relay_carried_bytes: {
    type: "counter",
    unit: "bytes",
    help:
      "Bytes of cells passed on, away from clients (forward) and towards them",
    labels: ["direction"],
    step: MIB,
  },
  anonnet_relay_circuits: {
    type: "gauge",
    help: "Circuits of others that lead through the relay",
    labels: ["state"],
    step: EIGHT,
  },
  anonnet_relay_load_onionskins: {
    type: "counter",
    help:
      "Handshakes of new circuits that were answered, and circuits turned away for want of room",
    labels: ["action"],
    step: EIGHT,
  },
  anonnet_relay_circuits_ended: {
    type: "counter",
    help: "Circuits of others that have ended, by the reason",
    labels: ["reason"],
    step: EIGHT,
  },
  anonnet_relay_queue_bytes: {
    type: "gauge",
    unit: "bytes",
    help: "Bytes of cells that wait to be passed on",
    labels: [],
    step: MIB,
  },
  anonnet_relay_queue_limit_bytes: {
    type: "gauge",
    unit: "bytes",
    help: "The quota of bytes of cells that may wait",
    labels: [],
  },

  anonnet_relay_rate_limit_bytes: {
    type: "gauge",
    unit: "bytes",
    help: "Bytes of cells that the operator lets it pass on per second",
    labels: [],
  },
  anonnet_relay_accounting: {
    type: "gauge",
    help:
      "What the relay does at its accounting limit: 1 for the state that holds; asleep is Tor's hibernating",
    labels: ["state"],
  },
  anonnet_relay_accounting_bytes: {
    type: "gauge",
    unit: "bytes",
    help: "Bytes of the accounting period that links have moved, and may move",
    labels: ["kind"],
    step: MIB,
  },
  anonnet_relay_accounting_limit_bytes: {
    type: "gauge",
    unit: "bytes",
    help: "Bytes that the operator lets links move in an accounting period",
    labels: [],
  },
  anonnet_relay_accounting_period_end_seconds: {
    type: "gauge",
    unit: "seconds",
    help: "When the next accounting period begins, in seconds since 1970",
    labels: [],
  },
  anonnet_relay_family: {
    type: "gauge",
    help:
      "Listed relays of the same family, this one included, and others that give its contact and are not of it",
    labels: ["kind"],
  },

  anonnet_dht_joined: {
    type: "gauge",
    help: "Whether the relay has found its neighbourhood in the DHT",
    labels: [],
  },
  anonnet_dht_contacts: {
    type: "gauge",
    help: "Relays in the routing table",
    labels: [],
  },
  anonnet_dht_records: {
    type: "gauge",
    help: "Records kept for others",
    labels: [],
    step: EIGHT,
  },
  anonnet_dht_requests: {
    type: "counter",
    help: "Requests of the DHT, sent and served",
    labels: ["direction"],
    step: EIGHT,
  },

  anonnet_client_circuits_state: {
    type: "gauge",
    help:
      "Whether circuits of the node's own can be built: 1 for the state that holds",
    labels: ["state"],
  },
  anonnet_client_guards: {
    type: "gauge",
    help: "Guards in use, by whether they answered when last tried",
    labels: ["state"],
  },
  anonnet_client_circuits: {
    type: "gauge",
    help: "Circuits of the node's own",
    labels: ["state"],
    step: EIGHT,
  },
  anonnet_client_circuit_builds: {
    type: "counter",
    help: "Circuits of the node's own that were begun, by what came of it",
    labels: ["outcome"],
    step: EIGHT,
  },
  anonnet_client_circuits_lost: {
    type: "counter",
    help: "Circuits of the node's own that ended before their time",
    labels: [],
    step: EIGHT,
  },
  anonnet_client_circuit_requests: {
    type: "counter",
    help: "Requests for a circuit, by whether they got one",
    labels: ["outcome"],
    step: EIGHT,
  },
  anonnet_client_sessions: {
    type: "gauge",
    help: "Sessions with services of others",
    labels: [],
    step: EIGHT,
  },
  anonnet_client_streams: {
    type: "gauge",
    help: "Streams to services of others",
    labels: [],
    step: EIGHT,
  },

  anonnet_hs_reachable: {
    type: "gauge",
    help: "Whether clients can reach a service, as far as the node knows",
    labels: ["service"],
  },
  anonnet_hs_intro_established: {
    type: "gauge",
    help: "Introduction points that the descriptor names and that listen",
    labels: ["service"],
  },
  anonnet_hs_intro_num: {
    type: "counter",
    help: "Introductions received",
    labels: ["service"],
    step: EIGHT,
  },
  anonnet_hs_intro_shed: {
    type: "counter",
    help: "Introductions never answered, for want of time",
    labels: ["service"],
    step: EIGHT,
  },
  anonnet_hs_sessions: {
    type: "gauge",
    help: "Sessions of visitors",
    labels: ["service"],
    step: EIGHT,
  },
  anonnet_hs_streams: {
    type: "gauge",
    help: "Streams of visitors",
    labels: ["service"],
    step: EIGHT,
  },

  anonnet_proxy_open: {
    type: "gauge",
    help: "Whether a proxy takes connections",
    labels: ["proxy"],
  },
  anonnet_proxy_connections: {
    type: "gauge",
    help: "Connections of programs to the proxies",
    labels: [],
    step: EIGHT,
  },
} as const satisfies Readonly<Record<string, MetricFamily>>;

/** The name of a family. */
export type FamilyName = keyof typeof METRIC_FAMILIES;

/** One value of a family. */
export interface MetricSample {
  readonly family: FamilyName;
  /** A value for each label of the family, in its order. */
  readonly labels: readonly string[];
  /** Finite, and never below 0. */
  readonly value: number;
}

/** What is known of a family. */
export function familyOf(name: FamilyName): MetricFamily {
  return METRIC_FAMILIES[name];
}

/** What the name of a family ends in where it stands before a value. */
const SUFFIXES = { gauge: "", counter: "_total", info: "_info" } as const;

/** The name that stands before the values of a family, and that queries ask for. */
export function seriesName(name: FamilyName): string {
  return name + SUFFIXES[familyOf(name).type];
}
