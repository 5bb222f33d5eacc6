import assert from "node:assert/strict";
import { seededRandom } from "../../lib/base/random.ts";
import { VirtualClock } from "../../lib/base/virtual_clock.ts";
import { WatchServer } from "../../lib/dashboard/watch_server.ts";
import { createDrain } from "../../lib/sim/world/drain.ts";

function open(): WatchServer {
  return new WatchServer({
    address: { host: "127.0.0.1", port: 0 },
    clock: new VirtualClock({ drain: createDrain() }),
    random: seededRandom(1),
    onError(error) {
      throw error;
    },
  });
}

Deno.test("WatchServer shows what goes on to who has the token, by the gate of the dashboard", async () => {
  await using server = open();
  const url = new URL(server.newUrl(1000));
  server.show({ minute: 5 });
  for (const name of ["/state", "/watch.js", "/events"]) {
    const answer = await fetch(url.origin + name);
    await answer.body?.cancel();
    assert.equal(answer.status, 404, name);
  }
  const post = (path: string, headers: Record<string, string>) =>
    fetch(url.origin + path, {
      method: "POST",
      headers: {
        origin: url.origin,
        "content-type": "application/json",
        ...headers,
      },
      body: JSON.stringify({ token: url.hash.slice(1) }),
    });
  const foreign = await post("/session", { origin: "http://evil.example" });
  assert.equal(foreign.status, 403);
  await foreign.body?.cancel();
  const entered = await post("/session", {});
  const cookie = entered.headers.get("set-cookie")?.split(";")[0] ?? "";
  const { path } = await entered.json();
  const again = await post("/session", {});
  assert.equal((await again.json()).code, "dashboard.token");

  const state = await fetch(`${url.origin}${path}state`, {
    headers: { cookie },
  });
  assert.deepEqual(await state.json(), { minute: 5 });
  const page = await fetch(`${url.origin}${path}`, { headers: { cookie } });
  assert.match(await page.text(), /watch\.js/);
  const changed = await post(`${path}state`, { cookie });
  assert.equal(changed.status, 404);
  await changed.body?.cancel();

  const stream = await fetch(`${url.origin}${path}events`, {
    headers: { cookie },
  });
  server.show({ minute: 6 });
  let text = "";
  assert.ok(stream.body !== null);
  for await (const chunk of stream.body.pipeThrough(new TextDecoderStream())) {
    text += chunk;
    if (text.includes('"minute":6')) break;
  }
  assert.match(text, /^event: state\ndata: \{"minute":5\}\n\n/);
});

Deno.test("WatchServer opens on this machine alone", () => {
  assert.throws(
    () =>
      new WatchServer({
        address: { host: "0.0.0.0", port: 0 },
        clock: new VirtualClock({ drain: createDrain() }),
        random: seededRandom(1),
        onError() {},
      }),
    { code: "control.public" },
  );
});
