/**
 * What each of the workers of one relay command is told, of what the operator says of
 * them all:
 *
 *     state      STATE, STATE/worker-1, STATE/worker-2, …
 *     ports      PORT, PORT + 1, PORT + 2, …           0: any free one
 *     limits     a share of each that is given
 *
 * @see protocol §9.2 "Start and stop"
 * @module
 */
import type { SocketAddress } from "../../auth/socket_address.ts";
import { ConfigError } from "../../base/errors.ts";
import {
  checkRelayLimits,
  type RelayLimits,
} from "../../node/relay/relay_limits.ts";
import type { RelayOptions } from "../../node/relay_role.ts";
import type { RunOptions } from "../process/run_node.ts";

/** What one worker is told: as a message carries it. */
export type WorkerOptions = Omit<RunOptions, "reread" | "workers">;

const MAX_PORT = 65_535;

/**
 * What each of so many workers is told.
 *
 * @throws {ConfigError} `cli.workers`: there is no relay, a role of one process, or a
 * port that does not exist; `node.limit`: a share of a limit is less than works.
 */
export function planWorkers(
  { reread: _reread, workers = 1, ...options }: RunOptions,
): WorkerOptions[] {
  if (workers === 1) return [options];
  const { relay } = options;
  if (relay === undefined || options.client !== undefined) {
    throw new ConfigError(
      "cli.workers",
      `Cannot use --workers ${workers}: only relays have workers, and proxies and ` +
        `services need a process of their own; start those with another command`,
    );
  }
  if (relay.listen.port === 0 && relay.advertise.length > 0) {
    throw new ConfigError(
      "cli.workers",
      `Cannot use --advertise with --workers ${workers} and any free port: the ` +
        `ports count up from those of --listen and --advertise; give --listen a port`,
    );
  }
  const limits = shareOf(relay.limits ?? {}, workers);
  return Array.from({ length: workers }, (_, index) => ({
    ...options,
    state: stateOf(options.state, index),
    relay: relayOf(relay, limits, index, workers),
    control: typeof options.control === "string"
      ? options.control
      : counted("control", options.control, index),
    metrics: options.metrics && counted("metrics", options.metrics, index),
    dashboard: options.dashboard && {
      address: counted("dashboard-at", options.dashboard.address, index),
      // A browser is sent to one of them, and finds the others by their own command.
      opens: index === 0 ? options.dashboard.opens : "when asked",
    },
    readyAs: "json" as const,
    logName: `worker-${index}`,
    // The process itself hears of both.
    stopWithParent: undefined,
    notify: undefined,
  }));
}

/** The first worker goes on with the identity that was there. */
function stateOf(state: string, index: number): string {
  return index === 0 ? state : `${state.replace(/\/+$/, "")}/worker-${index}`;
}

function relayOf(
  relay: RelayOptions,
  limits: RelayLimits,
  index: number,
  workers: number,
): RelayOptions {
  const { listen, advertise, bandwidth } = relay;
  return {
    ...relay,
    listen: counted("listen", listen, index),
    advertise: advertise.map((place) => counted("advertise", place, index)),
    bandwidth: bandwidth && Math.max(1, Math.floor(bandwidth / workers)),
    limits,
    family: true,
  };
}

function counted(
  flag: string,
  { host, port }: SocketAddress,
  index: number,
): SocketAddress {
  if (port === 0) return { host, port };
  if (port + index <= MAX_PORT) return { host, port: port + index };
  throw new ConfigError(
    "cli.workers",
    `Cannot count ports up from --${flag} port ${port}: worker ${index} would have ` +
      `port ${port + index}, and the last one is ${MAX_PORT}`,
  );
}

/** What is not given stays the default of each. */
function shareOf(limits: RelayLimits, workers: number): RelayLimits {
  const share = (value: number | undefined) =>
    value === undefined ? undefined : Math.floor(value / workers);
  const { rate, burst, maxCircuits, memory, accounting } = limits;
  const shared = {
    rate: share(rate),
    burst: share(burst),
    maxCircuits: share(maxCircuits),
    memory: share(memory),
    accounting: accounting &&
      { ...accounting, bytes: Math.floor(accounting.bytes / workers) },
  };
  try {
    checkRelayLimits(shared);
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    throw new ConfigError(
      error.code,
      `Cannot divide the limits among ${workers} workers: ` +
        error.message.replace(/^Cannot/, "each could not"),
    );
  }
  return shared;
}
