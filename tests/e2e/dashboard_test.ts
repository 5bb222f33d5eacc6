/** The dashboard as its operator meets it: in Chromium, over a network of processes. */
import assert from "node:assert/strict";
import axeCode from "axe-core/axe.min.js" with { type: "text" };
import { Chromium, type Tab } from "../support/chromium.ts";
import { isInstalled } from "../support/client_programs.ts";
import { runProgram } from "../support/process.ts";
import { ProcessNetwork } from "../support/process_network.ts";

const PAGES = ["now", "services", "visits", "circuits", "relay", "log"];

/** The pictures of README.md: page and colours. */
const PICTURED = [["now", "light"], ["circuits", "dark"]] as const;

/** Where pictures go; none are written without it. */
const PICTURES = Deno.env.get("DASHBOARD_PICTURES");

/** An address that `anonnet dashboard` prints. */
async function urlOf(state: string): Promise<string> {
  const { stdout, stderr } = await runProgram([
    "dashboard",
    `--state=${state}`,
  ]);
  assert.match(
    stdout,
    /^http:\/\/127\.0\.0\.1:[0-9]+\/#[a-z2-7]{52}\n$/,
    stderr,
  );
  return stdout.trim();
}

async function status(state: string): Promise<Record<string, unknown>> {
  const { stdout } = await runProgram([
    "status",
    `--state=${state}`,
    "--json",
  ]);
  return JSON.parse(stdout);
}

/** All figures that a tab shows, by their paths. */
async function figures(tab: Tab): Promise<Record<string, string>> {
  return await tab.evaluate(
    `Object.fromEntries(Array.from(
      document.querySelectorAll("section:not([hidden]) [data-figure]"),
      ({ dataset }) => [dataset.figure, dataset.value],
    ))`,
  ) as Record<string, string>;
}

async function turnTo(tab: Tab, page: string): Promise<void> {
  await tab.evaluate(`location.hash = "#${page}"`);
  await tab.until(
    `document.querySelector("#page-${page}:not([hidden])") !== null`,
  );
}

/** Colours and size of a screen. */
async function show(
  tab: Tab,
  scheme: string,
  { width, height }: { readonly width: number; readonly height: number },
): Promise<void> {
  await tab.send("Emulation.setEmulatedMedia", {
    features: [{ name: "prefers-color-scheme", value: scheme }],
  });
  await tab.send("Emulation.setDeviceMetricsOverride", {
    width,
    height,
    deviceScaleFactor: 1,
    mobile: width < 500,
  });
}

/** What axe-core finds wrong. */
async function violations(tab: Tab): Promise<unknown> {
  await tab.evaluate(axeCode);
  return await tab.evaluate(
    `axe.run(document, { resultTypes: ["violations"] }).then(({ violations }) =>
      violations.map(({ id, nodes }) =>
        id + ": " + nodes.map(({ html }) => html).join(" ")))`,
  );
}

Deno.test({
  name:
    "the dashboard shows in Chromium what status says, live, to who has the token",
  ignore: !isInstalled("chromium"),
  async fn(t) {
    await using network = await ProcessNetwork.start({ relays: 4 });
    await using site = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      () => new Response("x".repeat(200_000)),
    );
    const node = await network.start("run", "all", [
      "--relay",
      "--listen=127.0.0.1:0",
      "--dial-from=127.0.0.1:0",
      "--hops=2",
      "--socks=127.0.0.1:0",
      "--http=127.0.0.1:0",
      `--service=blog,80=127.0.0.1:${site.addr.port}`,
      "--dashboard",
      "--dashboard-at=127.0.0.1:0",
    ]);
    const [{ host = "" } = {}] = node.services;
    await using browser = await Chromium.start();
    const tab = await browser.newTab();
    const url = await urlOf(node.state);
    const origin = new URL(url).origin;
    await tab.open(url);
    await tab.until(
      `document.querySelector("#link")?.dataset.state === "live"`,
    );
    await tab.until(
      `document.querySelector("#verdict")?.textContent === "Ready"`,
    );

    await t.step("leaves no token in the address", async () => {
      assert.doesNotMatch(
        String(await tab.evaluate("location.href")),
        new RegExp(new URL(url).hash.slice(1)),
      );
    });

    await t.step("its figures are those of status --json", async () => {
      const shown = await figures(tab);
      const said = await status(node.state);
      for (const name of ["network", "state", "roles", "socks", "http"]) {
        assert.equal(shown[`status.${name}`], String(said[name]), name);
      }
      assert.equal(shown["status.relays"], String(said["relays"]));
      const uptime = Number(shown["status.uptimeMs"]);
      assert.ok(Math.abs(uptime - Number(said["uptimeMs"])) < 30_000);
      await turnTo(tab, "visits");
      const visits = said["visits"] as Record<string, unknown>;
      const visitsShown = await figures(tab);
      for (const [name, value] of Object.entries(visits)) {
        assert.equal(visitsShown[`status.visits.${name}`], String(value), name);
      }
    });

    await t.step("follows the node", async () => {
      await using client = disposable(
        Deno.createHttpClient({ proxy: { url: `http://${node.http}` } }),
      );
      const answer = await fetch(`http://${host}/`, { client: client.http });
      assert.equal((await answer.text()).length, 200_000);
      await turnTo(tab, "visits");
      await tab.until(
        `document.querySelector('[data-figure="status.visits.sessions"]')
          ?.dataset.value === "1"`,
      );
      await turnTo(tab, "services");
      await tab.until(`document.querySelector("[data-close]") !== null`);
      assert.equal((await figures(tab))["services.blog.sessions"], "1");
    });

    await t.step("draws an address as a QR code", async () => {
      await tab.evaluate(`document.querySelector("details").open = true`);
      await tab.until(`document.querySelector(".qr").naturalWidth > 0`);
    });

    for (const page of PAGES) {
      await t.step(`axe-core finds nothing on ${page}`, async () => {
        for (const scheme of ["light", "dark"]) {
          for (const width of [1280, 390]) {
            await show(tab, scheme, { width, height: 800 });
            await turnTo(tab, page);
            assert.deepEqual(await violations(tab), [], `${scheme} ${width}`);
            assert.ok(
              Number(await tab.evaluate("document.body.scrollWidth")) <= width,
              `${page} is wider than ${width}`,
            );
          }
        }
      });
    }

    await t.step("is pictured for README.md", async () => {
      await turnTo(tab, "now");
      await tab.until(
        `/[kM]B/.test(document.querySelector(".chart").ariaLabel)`,
      );
      for (const [page, scheme] of PICTURED) {
        await show(tab, scheme, { width: 1280, height: 960 });
        await turnTo(tab, page);
        const picture = await tab.screenshot();
        assert.ok(picture.length > 10_000 && picture.length < 200_000);
        if (PICTURES === undefined) continue;
        await Deno.writeFile(`${PICTURES}/dashboard-${page}.png`, picture);
      }
    });

    await t.step(
      "the log is that of the process, and can be filtered",
      async () => {
        await turnTo(tab, "log");
        const lines = () =>
          tab.evaluate(
            `document.querySelectorAll(".log li:not([hidden])").length`,
          );
        assert.ok(Number(await lines()) > 2);
        await tab.evaluate(`{
        const filter = document.querySelector("#filter");
        filter.value = "circuits can be built";
        filter.dispatchEvent(new Event("input"));
      }`);
        assert.equal(await lines(), 1);
      },
    );

    await t.step("closes a session, and begins a new identity", async () => {
      await turnTo(tab, "services");
      await tab.evaluate(`document.querySelector("[data-close]").click()`);
      await tab.until(
        `/was closed/.test(document.querySelector("#told").textContent)`,
      );
      await tab.until(`document.querySelector("[data-close]") === null`);
      await turnTo(tab, "visits");
      await tab.evaluate(`document.querySelector("#new-identity").click()`);
      await tab.until(
        `/begin new sessions/.test(document.querySelector("#told").textContent)`,
      );
    });

    await t.step(
      "asks only its own origin, and breaks no rule of its own",
      () => {
        assert.ok(tab.requests.length > 10);
        const others = tab.requests.filter((url) =>
          new URL(url).origin !== origin
        );
        assert.deepEqual(others.filter((url) => url !== "about:blank"), []);
        assert.deepEqual(tab.faults, []);
      },
    );

    await t.step(
      "of many tabs of one browser some are live, and all show the node",
      async () => {
        const tabs: Tab[] = [];
        const page = String(await tab.evaluate("location.href"));
        for (let n = 0; n < 6; n++) {
          const other = await browser.newTab();
          await other.open(page);
          tabs.push(other);
        }
        for (const other of tabs) {
          await other.until(`document.body.dataset.at !== undefined`);
        }
        const states = await Promise.all(tabs.map(async (other) => {
          await other.until(
            `["live", "polling"].includes(document.querySelector("#link").dataset.state)`,
          );
          return await other.evaluate(
            `document.querySelector("#link").dataset.state`,
          );
        }));
        assert.equal(states.filter((state) => state === "live").length, 3);
        for (const other of tabs) {
          await other.send("Page.close").catch(() => {});
        }
      },
    );

    await t.step(
      "says that the node does not answer, and goes on by itself when it does",
      async () => {
        Deno.kill(node.pid, "SIGSTOP");
        await tab.until(
          `document.querySelector("#link").dataset.state === "stopped"`,
        );
        Deno.kill(node.pid, "SIGCONT");
        await tab.until(
          `document.querySelector("#link").dataset.state === "live"`,
        );
      },
    );

    await t.step("says that the node stopped", async () => {
      await node.end();
      await tab.until(
        `document.querySelector("#link").dataset.state === "stopped"`,
      );
    });
  },
});

function disposable(http: Deno.HttpClient): AsyncDisposable & {
  readonly http: Deno.HttpClient;
} {
  return {
    http,
    [Symbol.asyncDispose]() {
      http.close();
      return Promise.resolve();
    },
  };
}
