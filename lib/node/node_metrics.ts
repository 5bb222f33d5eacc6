/**
 * A node's metrics: read from its parts each minute, shown to a monitoring system
 * that has their token.
 *
 * @see protocol §9.3 "Control interface"
 * @module
 */
import type { SocketAddress } from "../auth/socket_address.ts";
import { MachineTimer } from "../base/machine_timer.ts";
import {
  MetricsDoor,
  newMetricsToken,
  parseMetricsToken,
} from "../control/metrics_door.ts";
import { MetricsServer } from "../control/metrics_server.ts";
import { EXPOSITION_TYPE, formatExposition } from "../metrics/exposition.ts";
import type { MetricSample } from "../metrics/metric_families.ts";
import { MetricsBoard, untilNextReading } from "../metrics/metrics_board.ts";
import type { Runtime } from "../machine/runtime.ts";
import type { StateDirectory } from "../storage/state_directory.ts";
import { readMetrics } from "./metric_readings.ts";
import type { NodeParts } from "./node_parts.ts";

/** Name of the token's file in the state directory. */
export const METRICS_TOKEN = "metrics-token";

/** What metrics take. */
export interface MetricsOptions {
  /** Where to serve them beside the control interface, if anywhere. */
  readonly listen: SocketAddress | undefined;
  /** Of the program; a part of what is told. */
  readonly version: string;
}

/** The metrics of one node, until disposed of. */
export class NodeMetrics implements AsyncDisposable {
  /** Lets those in who may read them. */
  readonly door: MetricsDoor;
  readonly #parts: NodeParts;
  readonly #runtime: Runtime;
  readonly #version: string;
  readonly #startedMs: number;
  readonly #board: MetricsBoard;
  readonly #timer: MachineTimer;
  readonly #server: MetricsServer | undefined;

  private constructor(
    token: string,
    parts: NodeParts,
    { listen, version }: MetricsOptions,
    runtime: Runtime,
  ) {
    const { clock, random } = runtime;
    this.#parts = parts;
    this.#runtime = runtime;
    this.#version = version;
    this.#startedMs = clock.nowMs();
    this.#board = new MetricsBoard(random);
    this.#timer = new MachineTimer(clock, () => this.#onMinute());
    this.door = new MetricsDoor({
      token,
      type: EXPOSITION_TYPE,
      page: () => this.page(),
    });
    this.#server = listen && new MetricsServer(listen, this.door);
    this.#wait();
  }

  /**
   * Begin. Parts may come later. The token outlives the node: the operator gives it to
   * a monitoring system once.
   *
   * @throws {ConfigError} `control.metrics_*`, `storage.*`.
   */
  static async open(
    state: StateDirectory,
    parts: NodeParts,
    options: MetricsOptions,
    runtime: Runtime,
  ): Promise<NodeMetrics> {
    const token = await loadToken(state, runtime);
    return new NodeMetrics(token, parts, options, runtime);
  }

  /** Where they are served beside the control interface. */
  get address(): SocketAddress | undefined {
    return this.#server?.address;
  }

  /** What is shown now. */
  page(): string {
    return formatExposition(this.#board.shown(this.#read()));
  }

  /** Serve them no more. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#timer.stop();
    await this.#server?.[Symbol.asyncDispose]();
  }

  #onMinute(): void {
    this.#board.onMinute(this.#read());
    this.#wait();
  }

  #wait(): void {
    const { clock } = this.#runtime;
    this.#timer.set(clock.nowMs() + untilNextReading(clock.unixMs()));
  }

  #read(): MetricSample[] {
    const { clock, memoryBytes } = this.#runtime;
    return readMetrics(this.#parts, {
      version: this.#version,
      uptimeMs: clock.nowMs() - this.#startedMs,
      memoryBytes: memoryBytes?.(),
    });
  }
}

async function loadToken(
  state: StateDirectory,
  { random }: Pick<Runtime, "random">,
): Promise<string> {
  const text = await state.readNote(METRICS_TOKEN);
  if (text !== undefined) {
    return parseMetricsToken(text, state.pathOf(METRICS_TOKEN));
  }
  const token = newMetricsToken(random);
  await state.writeNote(METRICS_TOKEN, `${token}\n`);
  return token;
}
