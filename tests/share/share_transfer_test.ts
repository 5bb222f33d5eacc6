/**
 * A share and a download over a whole network in memory: relays fall silent, and the
 * sharing node stops and comes back, on a clock that jumps.
 *
 *     SHARE_SIM_MIB=20 deno task test tests/share/share_transfer_test.ts
 *
 * @module
 */
import assert from "node:assert/strict";
import { equalBytes } from "../../lib/base/bytes.ts";
import { sleep } from "../../lib/base/clock.ts";
import { seededRandom } from "../../lib/base/random.ts";
import type { DeliveryRecord } from "../../lib/share/deliveries.ts";
import { download } from "../../lib/share/download/download.ts";
import { fetchList } from "../../lib/share/download/share_list.ts";
import { inAnonNet } from "../embed/anonnet_world.ts";
import { MemoryPart, noting } from "./download/memory_part.ts";
import { diskWith, PATH, ShareWorld } from "./share_world.ts";

const BYTES = Number(Deno.env.get("SHARE_SIM_MIB") ?? 2) * 1024 * 1024;
const FILE = "/files/report.pdf";
/** How long a relay is silent, ms. */
const SILENT_MS = 5_000;

Deno.test(`a share of ${BYTES / 1024 / 1024} MiB is downloaded whole while relays fall silent and the sharing node comes back`, () =>
  inAnonNet(async (net) => {
    const { clock, network } = net.world;
    const bytes = seededRandom(1).bytes(BYTES);
    const disk = diskWith(bytes);
    const machine = net.world.machine();
    const first = await ShareWorld.of(disk, [FILE], { clock, most: 1 });
    const before = await net.program({}, machine);
    const { host } = await before.serve({ name: "s" }, first.site.handle);
    const visitor = await net.program();
    const said: string[] = [];
    const fetch = (
      url: URL,
      init: { readonly headers: Headers; readonly signal: AbortSignal },
    ) => visitor.fetch(url, init);
    const { signal } = new AbortController();
    const shared = {
      clock,
      fetch,
      patienceMs: 600_000,
      on: noting(said),
    };
    const url = new URL(`http://${host}${PATH.prefix}`);
    const [file] = await fetchList({ ...shared, url }, { signal }) ?? [];
    assert.ok(file !== undefined);

    const relays = net.relays.map(({ address }) => address.address);
    let silenced = 0;
    const silence = async () => {
      const relay = relays[silenced++ % relays.length];
      if (relay === undefined) return;
      using _cut = network.cut(
        [relay],
        relays.filter((other) => other !== relay),
      );
      await sleep(clock, SILENT_MS);
    };
    const half = Promise.withResolvers<void>();
    const quarter = Promise.withResolvers<void>();
    const part = new MemoryPart();
    const on = {
      ...shared.on,
      onProgress(there: number) {
        if (there >= BYTES / 4) quarter.resolve();
        if (there >= BYTES / 2) half.resolve();
      },
    };
    const { digest } = file;
    const getting = download(
      { ...shared, on, url: file.url, part, digest },
      { signal },
    );
    await quarter.promise;
    await silence();
    await half.promise;
    const records = new Map<string, DeliveryRecord>(
      first.site.records.map(({ file, deliveries }) =>
        [file.name.join("/"), deliveries] as const
      ),
    );
    await before[Symbol.asyncDispose]();
    const second = await ShareWorld.of(disk, [FILE], {
      clock,
      most: 1,
      before: records,
    });
    const after = await net.program({}, machine);
    await after.serve({ name: "s" }, second.site.handle);
    const silent = silence();
    assert.equal(await getting, "verified");
    await silent;
    assert.ok(equalBytes(part.content, bytes));
    const isWholeAtOnce = first.told.length > 0;
    if (!isWholeAtOnce) {
      assert.ok(said.some((line) => line.startsWith("resume")), said.join());
      await second.site.done;
      assert.deepEqual(second.told, ["report.pdf 1"]);
    }
  }));
