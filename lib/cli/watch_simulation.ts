/**
 * A simulation as charts: in a browser while it runs, and as a picture after it.
 *
 * @module
 */
import type { SocketAddress } from "../auth/socket_address.ts";
import { utf8 } from "../base/bytes.ts";
import { describeError } from "../base/errors.ts";
import { isJsonObject } from "../control/json.ts";
import { WatchServer } from "../dashboard/watch_server.ts";
import { SystemClock } from "../machine/system_clock.ts";
import { systemRandom } from "../machine/system_random.ts";
import { chartsOf } from "../sim/report_charts.ts";
import { drawCharts } from "../sim/report_picture.ts";
import type { ReportRow } from "../sim/simulation.ts";
import { createPrivateFile } from "../storage/private_file.ts";
import type { Program } from "./flags/command.ts";
import type { Terminal } from "./flags/terminal.ts";

/** How long the address is good, ms. */
const URL_MS = 60 * 60 * 1000;

/** The page of a simulation that runs. */
export class WatchedSimulation implements AsyncDisposable {
  readonly #server: WatchServer;
  readonly #terminal: Terminal;
  readonly #rows: ReportRow[] = [];
  #minute = 0;
  #minutes = 1;
  #isOver = false;

  /**
   * Open it, and tell where.
   *
   * @throws {ConfigError} `control.public`, `dashboard.in_use`.
   */
  constructor(address: SocketAddress, terminal: Terminal) {
    this.#terminal = terminal;
    this.#server = new WatchServer({
      address,
      clock: new SystemClock(),
      random: systemRandom,
      onError: (error) =>
        terminal.tell(`anonnet: a bug: ${describeError(error)}`),
    });
    terminal.tell("One browser, within an hour, sees the simulation at");
    terminal.tell(`    ${this.#server.newUrl(URL_MS)}`);
  }

  /** So much virtual time has passed. */
  onProgress(nowMs: number, totalMs: number): void {
    this.#minute = Math.round(nowMs / 60_000);
    this.#minutes = Math.round(totalMs / 60_000);
    this.#show();
  }

  /** One more row is there. */
  onRow(row: ReportRow): void {
    this.#rows.push(row);
    this.#show();
  }

  /** The simulation is over: stay until the operator asks to stop. */
  async stay(): Promise<void> {
    this.#isOver = true;
    this.#show();
    const asked = Promise.withResolvers<void>();
    using _stop = this.#terminal.onStop(() => asked.resolve(), {
      withParent: false,
    });
    this.#terminal.tell("The page stays until this command is stopped");
    await asked.promise;
  }

  #show(): void {
    const state: unknown = JSON.parse(JSON.stringify({
      minute: this.#minute,
      minutes: this.#minutes,
      isOver: this.#isOver,
      charts: this.#rows.length === 0 ? [] : chartsOf(this.#rows),
    }));
    if (isJsonObject(state)) this.#server.show(state);
  }

  /** Close the page. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server[Symbol.asyncDispose]();
  }
}

/**
 * Write the picture of a report to a new file.
 *
 * @throws {ConfigError} `storage.*`.
 */
export async function writePicture(
  { files }: Program,
  path: string,
  title: string,
  rows: readonly ReportRow[],
): Promise<void> {
  const picture = drawCharts(title, chartsOf(rows));
  await createPrivateFile(files, path, utf8(picture));
}
