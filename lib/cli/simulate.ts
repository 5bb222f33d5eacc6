/**
 * `anonnet simulate`: a network of relays in this process, on a virtual clock.
 *
 * @module
 */
import { ConfigError } from "../base/errors.ts";
import { HOSTILE_KINDS, type HostileKind } from "../sim/world/behaviour.ts";
import {
  type Experiment,
  networkOf,
  runExperiment,
  WORLD_KINDS,
  type WorldKind,
} from "../sim/experiment.ts";
import { formatReport } from "../sim/report_table.ts";
import type { SiegeStrength } from "../sim/siege.ts";
import { defineCommand } from "./flags/command.ts";
import { defaultFlag, oneOf, optionalFlag, switchFlag } from "./flags/flag.ts";
import { parseLoopbackAddress } from "./flags/node_flags.ts";
import { WatchedSimulation, writePicture } from "./watch_simulation.ts";

/** Fewer relays do not make a network worth watching. */
const MIN_RELAYS = 10;
const MAX_RELAYS = 100_000;
/** Less would leave buckets empty. */
const MIN_LISTED = 50;
const MAX_HOURS = 24 * 7;
const MAX_SEED = 2 ** 32 - 1;
/** Invented relays, and relays of a botnet, for each honest one. */
const MAX_FLOOD = 1000;
const MAX_BOTNET = 100;
/** Hostile relays in all: fewer honest ones would be no network. */
const MAX_HOSTILE = 0.9;

/** `anonnet simulate`. */
export const simulateCommand = defineCommand({
  name: "simulate",
  summary: "watch a network of simulated relays",
  details:
    "Relays join one after the other, store values and look them up, while " +
    "some leave and others come. Time is virtual, nothing leaves this process, " +
    "and everything is drawn from the seed: the same flags print the same " +
    "bytes. Progress goes to standard error. With --flood, --liars or " +
    "--botnet one party besieges the network: the table then shows which share " +
    "of circuits has a hostile guard or two hostile ends, of clients that have " +
    "known the relays for a month and of new ones, which look-ups succeed, and " +
    "how much of the lists is honest and there. With --watch a browser draws the " +
    "same, at an address that goes to standard error, until the command is stopped.",
  flags: {
    relays: defaultFlag(
      "N",
      "relays at any time",
      "100",
      wholeNumber(MIN_RELAYS, MAX_RELAYS),
    ),
    evil: defaultFlag(
      "P",
      "share of them that is hostile, 0 to 0.9 or 0% to 90%",
      "0",
      share(MAX_HOSTILE),
    ),
    flood: optionalFlag(
      "N",
      "relays that are not there, told of to all others, for each honest one",
      wholeNumber(0, MAX_FLOOD),
    ),
    liars: optionalFlag(
      "P",
      "share of the relays that is hostile and declares any bandwidth",
      share(MAX_HOSTILE),
    ),
    botnet: optionalFlag(
      "N",
      "hostile relays for each honest one that come within a day, such as 3 or 0.5",
      number(MAX_BOTNET),
    ),
    "evil-kinds": defaultFlag(
      "KINDS",
      `ways in which they are, of ${HOSTILE_KINDS.join(", ")}`,
      "dropper,liar",
      parseKinds,
    ),
    churn: defaultFlag(
      "R",
      "share of the relays that is replaced in an hour",
      "0",
      share(10),
    ),
    hours: defaultFlag("H", "virtual time to watch them", "1", parseHours),
    loss: defaultFlag(
      "P",
      "share of the messages that is lost and repeated",
      "0.1%",
      share(0.5),
    ),
    listed: optionalFlag(
      "N",
      "relays in each one's list, at most; with --world machines, where " +
        "thousands of complete ones would take gigabytes",
      wholeNumber(MIN_LISTED, MAX_RELAYS),
    ),
    split: defaultFlag(
      "MINUTES",
      "for how long a third of the relays is cut off in between",
      "0",
      wholeNumber(0, 60 * MAX_HOURS),
    ),
    seed: defaultFlag(
      "S",
      "where chance begins",
      "1",
      wholeNumber(0, MAX_SEED),
    ),
    world: optionalFlag(
      "KIND",
      "how much of a relay is simulated: whole nodes (nodes, the default), or " +
        "the machines of the DHT alone (machines), which is faster and what a " +
        "siege is simulated with",
      oneOf(WORLD_KINDS),
    ),
    every: optionalFlag(
      "MINUTES",
      "virtual time between two rows; 10 unless told, and 60 in a siege of over 6 hours",
      wholeNumber(1, 60 * MAX_HOURS),
    ),
    watch: switchFlag("show it in a browser of this machine while it runs"),
    "watch-at": defaultFlag(
      "IP:PORT",
      "where on this machine that is; port 0 for any free one",
      "127.0.0.1:0",
      parseLoopbackAddress,
    ),
    svg: optionalFlag(
      "FILE",
      "draw its charts into a new file, as SVG",
      String,
    ),
    json: switchFlag("print one JSON object"),
  },
  check({ flood = 0, liars = 0, botnet = 0, evil, world }) {
    if (siegeOf({ flood, liars, botnet }) !== undefined && world === "nodes") {
      throw new ConfigError(
        "cli.siege",
        "Cannot besiege whole nodes: leave --world nodes out, or --flood, " +
          "--liars and --botnet",
      );
    }
    if (evil + liars > MAX_HOSTILE) {
      throw new ConfigError(
        "cli.hostile",
        `Cannot simulate so many hostile relays: --evil and --liars together ` +
          `are at most ${MAX_HOSTILE}`,
      );
    }
  },
  async run(values, program) {
    const { terminal } = program;
    const siege = siegeOf(values);
    const { world = siege === undefined ? "nodes" : "machines" } = values;
    const experiment: Experiment = {
      world,
      relays: values.relays,
      evil: values.evil,
      evilKinds: values["evil-kinds"],
      churn: values.churn,
      hours: values.hours,
      loss: values.loss,
      maxRelays: listedIn({ listed: values.listed, world }),
      splitMinutes: values.split,
      ...values.every !== undefined && { rowMinutes: values.every },
      ...siege !== undefined && { siege },
      seed: values.seed,
    };
    await using watched = values.watch
      ? new WatchedSimulation(values["watch-at"], terminal)
      : undefined;
    const tell = progressTo((line) => terminal.tell(line));
    const report = await runExperiment(
      networkOf(experiment),
      experiment,
      (nowMs, totalMs) => {
        tell(nowMs, totalMs);
        watched?.onProgress(nowMs, totalMs);
      },
      (row) => watched?.onRow(row),
    );
    if (values.json) terminal.print(JSON.stringify({ experiment, ...report }));
    else for (const line of formatReport(report)) terminal.print(line);
    if (values.svg !== undefined) {
      const title = `${values.relays} simulated relays, seed ${values.seed}`;
      await writePicture(program, values.svg, title, report.rows);
    }
    await watched?.stay();
    return 0;
  },
});

/** @returns `undefined` when nothing besieges the network. */
function siegeOf(
  { flood = 0, liars = 0, botnet = 0 }: {
    flood: number | undefined;
    liars: number | undefined;
    botnet: number | undefined;
  },
): SiegeStrength | undefined {
  const isBesieged = flood > 0 || liars > 0 || botnet > 0;
  return isBesieged ? { flood, liars, botnet } : undefined;
}

/** @throws {ConfigError} `cli.listed` where whole nodes are simulated. */
function listedIn(
  { listed, world }: { listed: number | undefined; world: WorldKind },
): number | undefined {
  if (listed === undefined || world === "machines") return listed;
  throw new ConfigError(
    "cli.listed",
    "Cannot limit the relay lists of whole nodes: add --world machines, or " +
      "leave --listed out",
  );
}

/** Tells of every tenth of the way, once. */
function progressTo(
  tell: (line: string) => void,
): (nowMs: number, totalMs: number) => void {
  let told = 0;
  return (nowMs, totalMs) => {
    const tenths = Math.floor(10 * nowMs / totalMs);
    if (tenths <= told) return;
    told = tenths;
    const minutes = Math.round(nowMs / 60_000);
    tell(`${minutes} of ${Math.round(totalMs / 60_000)} virtual minutes`);
  };
}

function wholeNumber(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = /^[0-9]{1,15}$/.test(text) ? Number(text) : NaN;
    if (value >= least && value <= most) return value;
    throw new ConfigError(
      "cli.number",
      `it is "${
        text.slice(0, 40)
      }"; write a whole number from ${least} to ${most}`,
    );
  };
}

/** A number that need not be whole. */
function number(most: number): (text: string) => number {
  return (text) => {
    const value = /^[0-9]{1,6}(?:\.[0-9]{1,9})?$/.test(text)
      ? Number(text)
      : NaN;
    if (value >= 0 && value <= most) return value;
    throw new ConfigError(
      "cli.number",
      `it is "${text.slice(0, 40)}"; write a number from 0 to ${most}, such ` +
        `as 3 or 0.5`,
    );
  };
}

/** `0.2` or `20%`. */
function share(most: number): (text: string) => number {
  return (text) => {
    const [, digits, percent] =
      /^([0-9]{1,6}(?:\.[0-9]{1,9})?)(%?)$/.exec(text) ??
        [];
    const value = Number(digits ?? NaN) / (percent === "%" ? 100 : 1);
    if (value >= 0 && value <= most) return value;
    throw new ConfigError(
      "cli.share",
      `it is "${
        text.slice(0, 40)
      }"; write a share from 0 to ${most}, such as ` +
        `0.2 or 20%`,
    );
  };
}

function parseHours(text: string): number {
  const value = /^[0-9]{1,3}(?:\.[0-9]{1,3})?$/.test(text) ? Number(text) : NaN;
  if (value > 0 && value <= MAX_HOURS) return value;
  throw new ConfigError(
    "cli.hours",
    `it is "${text.slice(0, 40)}"; write hours above 0, at most ${MAX_HOURS}`,
  );
}

function parseKinds(text: string): readonly HostileKind[] {
  const parse = oneOf(HOSTILE_KINDS);
  return [...new Set(text.split(",").map(parse))];
}
