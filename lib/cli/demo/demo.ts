/**
 * `anonnet demo`: a complete network on this machine, to look at or to check.
 *
 * @module
 */
import { formatSocketAddress } from "../../auth/socket_address.ts";
import { ConfigError } from "../../base/errors.ts";
import { LOG_LEVELS } from "../../log/log.ts";
import { LOG_FORMATS } from "../../log/log_output.ts";
import { defineCommand } from "../flags/command.ts";
import { checkDemo, formatFigures } from "./demo_check.ts";
import { DemoNetwork } from "./demo_network.ts";
import { defaultFlag, oneOf, optionalFlag, switchFlag } from "../flags/flag.ts";
import { runProcess } from "../process/process.ts";

/** Two guards, and more than one way behind them. */
const MIN_RELAYS = 5;
const MAX_RELAYS = 100;
const MAX_SECONDS = 86_400;

/** `anonnet demo`. */
export const demoCommand = defineCommand({
  name: "demo",
  summary: "run a complete network on this machine, with a website and proxies",
  details:
    "Relays, a website as a .anon service and both proxies, all in this process " +
    "and over real connections on the loopback interface; prints what to paste " +
    "into a shell or a browser. Nothing is kept when it ends.",
  flags: {
    relays: defaultFlag(
      "N",
      `how many relays, ${MIN_RELAYS} to ${MAX_RELAYS}`,
      "7",
      numberBetween(MIN_RELAYS, MAX_RELAYS),
    ),
    check: switchFlag(
      "fetch the website through both proxies, compare every byte, print " +
        "figures, and end: exit code 0 if all is well",
    ),
    seconds: optionalFlag(
      "S",
      "end by itself after so many seconds",
      numberBetween(1, MAX_SECONDS),
    ),
    "log-level": defaultFlag(
      "LEVEL",
      `how much the nodes log: ${LOG_LEVELS.join(", ")}`,
      "error",
      oneOf(LOG_LEVELS),
    ),
    "log-format": defaultFlag(
      "FORMAT",
      `how log lines look: ${LOG_FORMATS.join(" or ")}`,
      "text",
      oneOf(LOG_FORMATS),
    ),
  },
  async run(values, program) {
    const { terminal } = program;
    const tell = (line: string) => terminal.tell(line);
    const directory = await Deno.makeTempDir({ prefix: "anonnet-demo-" });
    const log = {
      logLevel: values["log-level"],
      logFormat: values["log-format"],
    };
    try {
      return await runProcess<DemoNetwork>(program, log, {
        start: (log, signal, tail) =>
          DemoNetwork.start({
            relays: values.relays,
            directory,
            log,
            tail,
            tell,
            signal,
          }),
        async use(demo, stopped) {
          if (values.check) {
            const figures = await checkDemo(demo);
            for (const line of formatFigures(figures)) terminal.print(line);
            terminal.print("The demo works.");
            return 0;
          }
          for (const line of invitation(demo)) terminal.print(line);
          await Promise.race([stopped, after(values.seconds)]);
          return 0;
        },
      });
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
});

function invitation(
  { socks, http, host, dashboards: [service, proxies] }: DemoNetwork,
): string[] {
  const socksText = formatSocketAddress(socks);
  const httpText = formatSocketAddress(http);
  return [
    "",
    "Visit the website with",
    "",
    `    curl --proxy socks5h://${socksText} http://${host}/`,
    `    curl --proxy http://${httpText} http://${host}/`,
    "",
    "or in a browser whose proxy settings come from",
    "",
    `    http://${httpText}/strict.pac`,
    "",
    "and look at the website's node, and at that of the proxies, in one browser each at",
    "",
    `    ${service}`,
    `    ${proxies}`,
    "",
    "Ctrl-C ends it.",
  ];
}

/** Resolves after so many seconds; never without a number. */
function after(seconds: number | undefined): Promise<void> {
  return new Promise((resolve) => {
    if (seconds === undefined) return;
    Deno.unrefTimer(setTimeout(resolve, seconds * 1000));
  });
}

function numberBetween(least: number, most: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (/^[0-9]+$/.test(text) && number >= least && number <= most) {
      return number;
    }
    throw new ConfigError(
      "cli.number",
      `it is "${text.slice(0, 40)}"; write a number from ${least} to ${most}`,
    );
  };
}
