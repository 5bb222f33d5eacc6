/**
 * A real Prometheus reads a running node, by nothing but the files that operators
 * get: the rules of docs/operate/, and the token of the state directory.
 *
 * @module
 */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import {
  type FamilyName,
  METRIC_FAMILIES,
  seriesName,
} from "../../lib/metrics/metric_families.ts";
import { PROJECT, readProjectFile } from "../../tools/project_files.ts";
import {
  command,
  freePort,
  isInstalled,
  run,
  succeed,
} from "../support/client_programs.ts";
import { untilFound } from "../support/polling.ts";
import { ProcessNetwork } from "../support/process_network.ts";
import { TemporaryDirectory } from "../support/temporary_directory.ts";

/** Longest wait for what follows by itself, ms: processes share a machine with other tests. */
const PATIENCE_MS = 180_000;
const ALERTS = "docs/operate/alerts.yml";

const HAS_PROMETHEUS = isInstalled("prometheus") && isInstalled("promtool");

/** What Prometheus answers to a question. */
interface Answer<T> {
  readonly status: string;
  readonly data: T;
}

interface Alert {
  readonly labels: Readonly<Record<string, string>>;
  readonly state: string;
}

interface Target {
  readonly health: string;
  readonly lastError: string;
}

/** A Prometheus with a data directory of its own, and one node to read. */
class Prometheus implements AsyncDisposable {
  readonly #port: number;
  readonly #child: Deno.ChildProcess;

  private constructor(port: number, child: Deno.ChildProcess) {
    this.#port = port;
    this.#child = child;
  }

  static async start(
    home: TemporaryDirectory,
    { place, state }: { readonly place: string; readonly state: string },
  ): Promise<Prometheus> {
    // As shipped, but for how long a condition must hold.
    const rules = readProjectFile(ALERTS).replaceAll(/for: \d+m/g, "for: 2s");
    await Deno.writeTextFile(home.pathOf("alerts.yml"), rules);
    await Deno.writeTextFile(
      home.pathOf("prometheus.yml"),
      `global:
  scrape_interval: 1s
  evaluation_interval: 1s
rule_files: [alerts.yml]
scrape_configs:
  - job_name: anonnet
    authorization:
      credentials_file: ${state}/metrics-token
    static_configs:
      - targets: ["${place}"]
`,
    );
    const config = home.pathOf("prometheus.yml");
    await succeed("promtool", ["check", "config", config]);
    const port = freePort();
    const child = command("prometheus", [
      `--config.file=${config}`,
      `--storage.tsdb.path=${home.pathOf("data")}`,
      `--web.listen-address=127.0.0.1:${port}`,
      "--log.level=warn",
    ], { cwd: home.path, stdout: "null", stderr: "null" }).spawn();
    const prometheus = new Prometheus(port, child);
    try {
      await untilFound(
        () => prometheus.#isReady(),
        PATIENCE_MS,
        "Prometheus",
      );
      return prometheus;
    } catch (error) {
      await prometheus[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Values of a query, by the labels of each. */
  async query(
    text: string,
  ): Promise<{ metric: Record<string, string>; value: number }[]> {
    const { result } = await this.#ask<
      {
        readonly result: readonly {
          readonly metric: Record<string, string>;
          readonly value: readonly [number, string];
        }[];
      }
    >(`query?query=${encodeURIComponent(text)}`);
    return result.map(({ metric, value: [, value] }) => ({
      metric,
      value: Number(value),
    }));
  }

  /** Alerts that fire. */
  async firing(): Promise<string[]> {
    const { alerts } = await this.#ask<{ readonly alerts: readonly Alert[] }>(
      "alerts",
    );
    return alerts.filter(({ state }) => state === "firing").map((
      { labels: { alertname, service } },
    ) => `${alertname}${service === undefined ? "" : ` ${service}`}`);
  }

  /** What it reads from. */
  async targets(): Promise<readonly Target[]> {
    const { activeTargets } = await this.#ask<
      { readonly activeTargets: readonly Target[] }
    >("targets");
    return activeTargets;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGTERM");
    await this.#child.status;
  }

  async #isReady(): Promise<true | undefined> {
    try {
      const response = await fetch(`http://127.0.0.1:${this.#port}/-/ready`);
      await response.body?.cancel();
      return response.ok ? true : undefined;
    } catch (error) {
      if (error instanceof TypeError) return undefined; // nothing listens yet
      throw error;
    }
  }

  async #ask<T>(path: string): Promise<T> {
    const response = await fetch(
      `http://127.0.0.1:${this.#port}/api/v1/${path}`,
    );
    const { status, data }: Answer<T> = await response.json();
    assert.equal(status, "success");
    return data;
  }
}

/** The page of a node's metrics. */
async function readPage(place: string, token: string): Promise<Response> {
  return await fetch(`http://${place}/metrics`, {
    headers: { authorization: `Bearer ${token}` },
  });
}

/**
 * The same page as Prometheus' own format has it, which is what promtool reads: it
 * knows no units, and has counters and infos by the name of their series.
 */
function inPrometheusFormat(page: string): string {
  return page.split("\n").filter((line) => !/^# (UNIT|EOF)/.test(line))
    .map((line) =>
      line.replace(
        /^# (TYPE|HELP) (\w+)/,
        (_, word, name: FamilyName) => `# ${word} ${seriesName(name)}`,
      )
        .replace(/^(# TYPE \w+) info$/, "$1 gauge")
    ).join("\n");
}

Deno.test({
  name:
    "promtool takes the alert rules, and they fire and clear when they should",
  ignore: !HAS_PROMETHEUS,
  async fn() {
    await using home = await TemporaryDirectory.create();
    const rules = fileURLToPath(new URL(ALERTS, PROJECT));
    await succeed("promtool", ["check", "rules", "--lint-fatal", rules]);
    const file = home.pathOf("test.yml");
    const series = 'anonnet_hs_reachable{service="blog",job="anonnet"}';
    const annotated = (alertname: string, minutes: number, labels?: string) =>
      `      - eval_time: ${minutes}m
        alertname: ${alertname}
        exp_alerts: ${labels === undefined ? "[]" : `[{exp_labels: ${labels}}]`}
`;
    const reached = "{service: blog, job: anonnet, severity: critical}";
    // Annotations are compared too where an alert is expected.
    const shipped = readProjectFile(ALERTS).replaceAll(
      /\n +annotations:\n(?: {10,}.*\n)+/g,
      "\n",
    );
    await Deno.writeTextFile(home.pathOf("alerts.yml"), shipped);
    await Deno.writeTextFile(
      file,
      `rule_files: [alerts.yml]
evaluation_interval: 30s
tests:
  - interval: 30s
    input_series:
      - series: '${series}'
        values: '1x4 0x10 1x10'
      - series: 'up{job="anonnet"}'
        values: '1x24'
      - series: 'anonnet_relay_queue_bytes{job="anonnet"}'
        values: '10x10 95x20'
      - series: 'anonnet_relay_queue_limit_bytes{job="anonnet"}'
        values: '100x30'
    alert_rule_test:
${annotated("AnonNetServiceUnreachable", 2)}\
${annotated("AnonNetServiceUnreachable", 4)}\
${annotated("AnonNetServiceUnreachable", 5, reached)}\
${annotated("AnonNetServiceUnreachable", 9)}\
${annotated("AnonNetNodeDown", 9)}\
${annotated("AnonNetQuotaNearlyFull", 9)}\
${
        annotated(
          "AnonNetQuotaNearlyFull",
          12,
          "{job: anonnet, severity: warning}",
        )
      }`,
    );
    const result = await run("promtool", ["test", "rules", file]);
    assert.equal(result.code, 0, result.text + result.stderr);
  },
});

Deno.test({
  name:
    "a real Prometheus reads a node, and its alert for a service that cannot be reached fires and clears",
  ignore: !HAS_PROMETHEUS || Deno.build.os === "windows",
  async fn() {
    await using network = await ProcessNetwork.start({ relays: 4 });
    await using home = await TemporaryDirectory.create();
    const family = network.home.pathOf("all/family.key");
    await Deno.mkdir(network.home.pathOf("all"), { mode: 0o700 });
    await succeed(Deno.execPath(), [
      "run",
      "--quiet",
      "--no-prompt",
      "-P",
      fileURLToPath(new URL("main.ts", PROJECT)),
      "keygen",
      "--out",
      family,
    ]);
    const all = await network.start("run", "all", [
      "--relay",
      "--family",
      "--rate=5MB",
      "--accounting-max=5GB/day",
      "--listen=127.0.0.1:0",
      "--hops=2",
      "--metrics=127.0.0.1:0",
      "--socks=127.0.0.1:0",
      `--service=blog,80=127.0.0.1:${freePort()}`,
    ]);
    const place = all.metrics;
    const { state } = all;
    const file = `${state}/metrics-token`;
    assert.equal(((await Deno.stat(file)).mode ?? 0) & 0o777, 0o600);
    const token = (await Deno.readTextFile(file)).trim();

    // The token of the control interface opens no metrics, and theirs no command.
    const [, , control = ""] = (await Deno.readTextFile(`${state}/control`))
      .split("\n");
    const refused = await readPage(place, control);
    assert.deepEqual([refused.status, await refused.text()], [403, ""]);

    await using prometheus = await Prometheus.start(home, { place, state });
    await untilFound(
      async () => {
        const [target] = await prometheus.targets();
        assert.equal(target?.lastError ?? "", "");
        return target?.health === "up" ? true : undefined;
      },
      PATIENCE_MS,
      "the first reading",
    );
    const reachable = "anonnet_hs_reachable";
    const isReachable = async (value: number) => {
      const [sample] = await prometheus.query(reachable);
      return sample?.value === value ? sample : undefined;
    };
    const sample = await untilFound(
      () => isReachable(1),
      PATIENCE_MS,
      "a reachable service",
    );
    assert.equal(sample.metric["service"], "blog");

    // All of it but what no circuit has come to yet, once a minute is over.
    const told = await untilFound(
      async () => {
        const text = await (await readPage(place, token)).text();
        return text.includes("anonnet_hs_streams{") ? text : undefined;
      },
      PATIENCE_MS,
      "the whole minute",
    );
    const linted = command("promtool", ["check", "metrics"], {
      stdin: "piped",
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    const writer = linted.stdin.getWriter();
    await writer.write(new TextEncoder().encode(inPrometheusFormat(told)));
    await writer.close();
    const lint = await linted.output();
    const said = new TextDecoder().decode(lint.stderr) +
      new TextDecoder().decode(lint.stdout);
    assert.equal(lint.code, 0, said);
    assert.doesNotMatch(told, /\.anon|127\.0\.0\.1|[a-z2-7]{40}/);
    const names = await untilFound(
      async () => {
        const found = await prometheus.query(
          'count by (__name__) ({__name__=~"anonnet_.+"})',
        );
        const names = new Set(found.map(({ metric }) => metric["__name__"]));
        return names.has("anonnet_hs_streams") ? names : undefined;
      },
      PATIENCE_MS,
      "what came with the minute",
    );
    for (const name of Object.keys(METRIC_FAMILIES) as FamilyName[]) {
      if (name === "anonnet_relay_circuits_ended") continue;
      assert.ok(names.has(seriesName(name)), `no ${name}`);
    }

    const alert = "AnonNetServiceUnreachable blog";
    const alerts = async (isFiring: boolean) => {
      const firing = await prometheus.firing();
      return firing.includes(alert) === isFiring ? firing : undefined;
    };
    assert.ok(await alerts(false), "fires for no reason");
    for (const relay of network.relays) relay.process.signal("SIGSTOP");
    try {
      await untilFound(() => alerts(true), PATIENCE_MS, "the alert");
    } finally {
      for (const relay of network.relays) relay.process.signal("SIGCONT");
    }
    await untilFound(() => isReachable(1), PATIENCE_MS, "the service");
    await untilFound(() => alerts(false), PATIENCE_MS, "the end of the alert");
  },
});
