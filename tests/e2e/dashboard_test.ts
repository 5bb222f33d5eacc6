/** The dashboard as its operator meets it: in Chromium, over a network of processes. */
import assert from "node:assert/strict";
import axeCode from "axe-core/axe.min.js" with { type: "text" };
import { Chromium, type Tab } from "../support/chromium.ts";
import { isInstalled } from "../support/client_programs.ts";
import { runProgram } from "../support/process.ts";
import { ProcessNetwork } from "../support/process_network.ts";

const PAGES = ["now", "services", "visits", "circuits", "relay", "log"];

/** The pictures of README.md: page, colours and width. */
const PICTURED = [
  ["now", "light", 1280],
  ["services", "light", 1280],
  ["visits", "dark", 1280],
  ["circuits", "dark", 1280],
  ["relay", "light", 1280],
  ["now", "dark", 390],
] as const;

/** Longest life of the browser: axe looks at each page four times. */
const BROWSER_MS = 9 * 60_000;

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

/** What a command says that asks the node. */
async function said(command: string, state: string): Promise<unknown> {
  const { stdout } = await runProgram([command, `--state=${state}`, "--json"]);
  return JSON.parse(stdout);
}

/** All figures that the node tells programs, by the paths that pages call them. */
async function figuresOf(state: string): Promise<Map<string, string>> {
  const [status, circuits, services] = await Promise.all([
    said("status", state),
    said("circuits", state),
    said("services", state),
  ]);
  const { own, relayed } = circuits as Record<string, Json>;
  const all = new Map<string, string>();
  const add = (path: string, value: Json) => {
    if (value === null || typeof value !== "object") {
      all.set(path, String(value));
      return;
    }
    all.set(path, String(value));
    if (Array.isArray(value)) return;
    for (const [name, inner] of Object.entries(value)) {
      add(`${path}.${name}`, inner);
    }
  };
  add("status", status as Json);
  add("own", own ?? null);
  add("relayed", relayed ?? null);
  for (const service of services as readonly { readonly name: string }[]) {
    add(`services.${service.name}`, service as unknown as Json);
  }
  const states = Object.entries(relayed ?? {}).find(([name]) =>
    name === "states"
  );
  const counts: number[] = Object.values(states?.[1] ?? {});
  all.set("now.others", String(counts.reduce((sum, n) => sum + n, 0)));
  all.set("now.visits", all.get("status.visits.sessions") ?? "");
  return all;
}

type Json = string | number | boolean | null | readonly Json[] | {
  readonly [name: string]: Json;
};

/** Whether a figure is one of two, or between them. */
function isBetween(shown: string, before: string, after: string): boolean {
  if (shown === before || shown === after) return true;
  const [one, two] = [Number(before), Number(after)];
  const least = Math.min(one, two);
  const most = Math.max(one, two);
  return Number(shown) >= least && Number(shown) <= most;
}

/**
 * The figures of a page that are not those that programs are told just before and just
 * after. What changes both ways meanwhile is looked at again.
 */
async function wrongFigures(tab: Tab, state: string): Promise<string[]> {
  let wrong: string[] = [];
  for (let triesLeft = 5; triesLeft > 0; triesLeft--) {
    const before = await figuresOf(state);
    await tab.evaluate("document.body.dataset.seen = document.body.dataset.at");
    // The look after this one began after all that was said before.
    for (let looks = 0; looks < 2; looks++) {
      await tab.until(
        "document.body.dataset.at !== document.body.dataset.seen",
      );
      await tab.evaluate(
        "document.body.dataset.seen = document.body.dataset.at",
      );
    }
    const shown = Object.entries(await figures(tab));
    const after = await figuresOf(state);
    assert.ok(shown.length >= 3, `${shown.length} figures`);
    wrong = shown.flatMap(([path, value]) => {
      const [one, two] = [before.get(path), after.get(path)];
      const isRight = one !== undefined && two !== undefined &&
        isBetween(value, one, two);
      return isRight ? [] : [`${path}: ${value}, and not ${one} to ${two}`];
    });
    if (wrong.length === 0) break;
  }
  return wrong;
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
    await using browser = await Chromium.start(BROWSER_MS);
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

    await using client = disposable(
      Deno.createHttpClient({ proxy: { url: `http://${node.http}` } }),
    );
    const load = async (headers: Record<string, string> = {}) => {
      const answer = await fetch(`http://${host}/`, {
        client: client.http,
        headers,
      });
      return (await answer.text()).length;
    };

    await t.step("follows the node", async () => {
      assert.equal(await load(), 200_000);
      await turnTo(tab, "visits");
      await tab.until(
        `document.querySelector('[data-figure="status.visits.sessions"]')
          ?.dataset.value === "1"`,
      );
      await turnTo(tab, "services");
      await tab.until(`document.querySelector("[data-close]") !== null`);
      assert.equal((await figures(tab))["services.blog.sessions"], "1");
    });

    for (const page of PAGES.slice(0, 5)) {
      await t.step(
        `the figures on ${page} are those of status, circuits and services`,
        async () => {
          await turnTo(tab, page);
          assert.deepEqual(await wrongFigures(tab, node.state), []);
        },
      );
    }

    await t.step(
      "shows visits by isolation, and no name of theirs",
      async () => {
        await load({ "proxy-authorization": "Basic YTpi" });
        await turnTo(tab, "visits");
        await tab.until(
          `document.querySelectorAll("#page-visits tbody tr").length === 2`,
        );
        const groups = String(
          await tab.evaluate(
            `Array.from(document.querySelectorAll(".isolation"),
            ({ textContent }) => textContent).join()`,
          ),
        );
        assert.equal(new Set(groups.split(",")).size, 2, groups);
        await tab.until(
          `/ms/.test(document.querySelector("#page-visits tbody").textContent)`,
        );
        const text = await tab.evaluate(
          `document.querySelector("#page-visits").textContent`,
        );
        assert.doesNotMatch(String(text), new RegExp(`${host}|blog`));
      },
    );

    await t.step(
      "shows how each introduction point is, and the strip also after a reload",
      async () => {
        await turnTo(tab, "services");
        await tab.until(
          `document.querySelectorAll("#service-blog tbody .badge.good").length === 3`,
        );
        const known = `document.querySelectorAll(".strip .up").length`;
        await tab.until(`${known} > 0`);
        const before = await tab.evaluate(known);
        await tab.send("Page.reload");
        await tab.until(`${known} > 0`);
        assert.equal(await tab.evaluate(known), before);
      },
    );

    await t.step("names guards when it is told to, for a while", async () => {
      await turnTo(tab, "circuits");
      await tab.until(`document.querySelector("#show-guards") !== null`);
      const text = async () =>
        String(
          await tab.evaluate(
            `document.querySelector("#page-circuits").innerText`,
          ),
        );
      const keys = /\b[a-z2-7]{52}\b/g;
      assert.doesNotMatch(await text(), keys);
      await tab.evaluate(`document.querySelector("#show-guards").click()`);
      await tab.until(`document.querySelector("#hide-guards") !== null`);
      const peers = await said("peers", node.state) as {
        readonly publicKey: string;
      }[];
      const named = (await text()).match(keys) ?? [];
      assert.equal(named.length, 2);
      for (const key of named) {
        assert.ok(peers.some(({ publicKey }) => publicKey === key), key);
      }
      await tab.evaluate(`document.querySelector("#hide-guards").click()`);
      await tab.until(`document.querySelector("#show-guards") !== null`);
      assert.doesNotMatch(await text(), keys);
    });

    await t.step(
      "sends its cookie to no other port of the machine",
      async () => {
        const heads: string[] = [];
        await using other = Deno.serve(
          { hostname: "127.0.0.1", port: 0, onListen() {} },
          ({ headers }) => {
            heads.push(headers.get("cookie") ?? "");
            return new Response("<title>other</title>", {
              headers: { "content-type": "text/html" },
            });
          },
        );
        const stranger = await browser.newTab();
        await stranger.open(`http://127.0.0.1:${other.addr.port}/`);
        await stranger.until(`document.title === "other"`);
        assert.deepEqual(new Set(heads), new Set([""]));
        await stranger.send("Page.close").catch(() => {});
      },
    );

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
      // A chart of some minutes, where there is time for it.
      for (let n = 0; n < (PICTURES === undefined ? 1 : 24); n++) {
        await load();
        if (n % 3 === 0) await load({ "proxy-authorization": "Basic YTpi" });
        if (PICTURES !== undefined) await pause(tab, 1000 + 2000 * (n % 4));
      }
      await turnTo(tab, "now");
      await tab.until(
        `/[kM]B/.test(document.querySelector(".chart").ariaLabel)`,
      );
      for (const [page, scheme, width] of PICTURED) {
        await show(tab, scheme, { width, height: width < 500 ? 844 : 960 });
        await turnTo(tab, page);
        const picture = await tab.screenshot();
        assert.ok(picture.length > 10_000 && picture.length < 300_000);
        if (PICTURES === undefined) continue;
        const name = width < 500 ? `${page}-phone` : page;
        await Deno.writeFile(`${PICTURES}/dashboard-${name}.png`, picture);
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
      // The other isolation key has a session of its own.
      await tab.until(
        `document.querySelectorAll("[data-close]").length === 1`,
      );
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

    await t.step("asks for nothing while it is not seen", async () => {
      const other = await browser.newTab("last window");
      await tab.until(
        `document.querySelector("#link").dataset.state === "hidden"`,
      );
      const asked = tab.requests.length;
      await pause(tab, 5_000);
      assert.equal(tab.requests.length, asked);
      await other.send("Page.close").catch(() => {});
      await tab.send("Page.bringToFront");
      await tab.until(
        `document.querySelector("#link").dataset.state === "live"`,
      );
    });

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

/** Let time pass in the page. */
async function pause(tab: Tab, ms: number): Promise<void> {
  await tab.evaluate(`new Promise((done) => setTimeout(done, ${ms}))`);
}

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
