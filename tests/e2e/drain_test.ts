/** Stopping a service while something is under way. */
import assert from "node:assert/strict";
import { askList } from "../support/asked_node.ts";
import { isInstalled, run } from "../support/client_programs.ts";
import { untilFound } from "../support/polling.ts";
import { logLine } from "../support/process.ts";
import { ProcessNetwork } from "../support/process_network.ts";

/** At `RATE`, longer than a stop without `--drain` would wait. */
const FILE_BYTES = 14_000_000;
const RATE = "2M";

/** Wait until a service serves one stream. */
async function oneStream(state: string): Promise<void> {
  await untilFound(
    async () => {
      const [shown] = await askList(state, "services");
      return shown?.["streams"] === 1 ? shown : undefined;
    },
    20_000,
    "a stream",
  );
}

Deno.test({
  name:
    "a service that is told to stop lets a download end, and a second signal does not",
  ignore: !isInstalled("curl"),
  async fn() {
    await using target = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      () => new Response(new Uint8Array(FILE_BYTES)),
    );
    await using network = await ProcessNetwork.start({ relays: 4 });
    const service = await network.serve([`80=127.0.0.1:${target.addr.port}`]);
    const proxy = await network.proxy("proxy");
    const download = (...flags: string[]) =>
      run("curl", [
        ...["-q", "-sS", "--proxy", `socks5h://${proxy.socks}`, ...flags],
        ...["-o", "/dev/null", "-w", "%{size_download}"],
        `http://${service.host}/`,
      ]);
    const served = (count: number) =>
      logLine(
        service.process,
        "Waiting for streams to end",
        ({ streams }) => streams === count,
      );

    const slow = download("--limit-rate", RATE, "--max-time", "40");
    await oneStream(service.state);
    service.process.signal("SIGTERM");
    await served(1);
    const { code, text, stderr } = await slow;
    assert.equal(code, 0, stderr);
    assert.equal(Number(text), FILE_BYTES);
    const { stderr: log } = await service.process.outcome();
    assert.match(log, /All streams have ended/);

    await service.restart("kill");
    const cut = download("--limit-rate", "100k", "--max-time", "40");
    await oneStream(service.state);
    service.process.signal("SIGTERM");
    await served(1);
    const ending = service.process.outcome();
    let isOver = false;
    ending.finally(() => isOver = true);
    // Those within two seconds of the first are one with it.
    await untilFound(
      () => {
        if (!isOver) service.process.signal("SIGTERM");
        return Promise.resolve(isOver || undefined);
      },
      20_000,
      "the end of the process",
    );
    const outcome = await ending;
    assert.equal(outcome.code, 1, outcome.stderr);
    assert.match(outcome.stderr, /stopped the hard way/);
    await proxy.end("kill");
    assert.notEqual((await cut).code, 0);
  },
});
