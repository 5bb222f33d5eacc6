/** What a browser does that takes its settings from the proxy. */
import assert from "node:assert/strict";
import { VirtualClock } from "../../lib/base/virtual_clock.ts";
import { HttpServer } from "../../lib/proxy/http_server.ts";
import { createDrain } from "../../lib/sim/world/drain.ts";
import { command, isInstalled } from "../support/client_programs.ts";
import { TemporaryDirectory } from "../support/temporary_directory.ts";
import { LoopbackGateway } from "./loopback_gateway.ts";
import { HOST } from "./world.ts";

/** An ordinary site, which the browser is told to find at the trap. */
const CLEARNET = "clearnet.example";

const PAGE = `<!doctype html><title>A page</title><script>
  const done = () => fetch("/report", { method: "POST" });
  const image = new Image();
  image.onload = image.onerror = done;
  image.src = "http://${CLEARNET}/image.png";
</script>`;

/** Visit the page in Chromium. @returns Requests that the ordinary site got. */
async function visit(pac: string): Promise<number> {
  await using stack = new AsyncDisposableStack();
  const home = stack.use(await TemporaryDirectory.create());
  let trapped = 0;
  const listening = { hostname: "127.0.0.1", port: 0, onListen() {} };
  const trap = stack.use(Deno.serve(listening, () => {
    trapped++;
    return new Response("seen");
  }));
  const reported = Promise.withResolvers<void>();
  const site = stack.use(Deno.serve(listening, (request) => {
    if (request.method === "POST") reported.resolve();
    return new Response(PAGE, { headers: { "content-type": "text/html" } });
  }));
  const proxy = stack.use(
    await HttpServer.open({
      listen: { host: "127.0.0.1", port: 0 },
      gateway: new LoopbackGateway(new Map([[80, site.addr.port]])),
      clock: new VirtualClock({ drain: createDrain() }),
      onFault(error) {
        throw error;
      },
    }),
  );
  const browser = command("chromium", [
    ...["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"],
    ...["--no-first-run", "--disable-background-networking"],
    ...["--disable-component-update", "--disable-sync"],
    "--disable-dev-shm-usage",
    `--user-data-dir=${home.pathOf("chromium")}`,
    `--host-resolver-rules=MAP ${CLEARNET} 127.0.0.1:${trap.addr.port}`,
    `--proxy-pac-url=http://127.0.0.1:${proxy.address.port}${pac}`,
    `http://${HOST}/`,
  ], {
    env: { HOME: home.path },
    stdout: "null",
    stderr: "null",
    signal: AbortSignal.timeout(60_000),
  }).spawn();
  const died = browser.status.then(({ code }) => {
    throw new Error(`Chromium ended with ${code}`);
  });
  died.catch(() => {});
  try {
    await Promise.race([reported.promise, died]);
  } finally {
    browser.kill("SIGTERM");
    await browser.status;
  }
  return trapped;
}

Deno.test({
  name:
    "a page of a service makes no browser ask an ordinary site, by the strict PAC file",
  ignore: !isInstalled("chromium"),
  async fn() {
    assert.equal(await visit("/strict.pac"), 0);
    assert.ok(await visit("/proxy.pac") > 0, "the trap works");
  },
});
