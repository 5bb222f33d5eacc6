import assert from "node:assert/strict";
import { sleep } from "../../../lib/base/clock.ts";
import type { NodeServiceNews } from "../../../lib/node/host/node_services.ts";
import {
  MAX_OWNED_SERVICES,
  MAX_PROGRAM_SERVICES,
  type ServiceOwner,
} from "../../../lib/node/services/hosted_services.ts";
import { parseServiceHost } from "../../../lib/service/address.ts";
import { MemoryFiles } from "../../../lib/storage/memory_files.ts";
import { FailingFiles } from "../../support/failing_files.ts";
import { inServiceWorld, MINUTE, NEVER } from "../session/service_world.ts";
import { NEW, openHosted, STORED, TARGETS } from "./services_world.ts";

const codeOf = (work: Promise<unknown>) =>
  work.then(() => "done", (error) => error.code);

Deno.test("HostedServices.add() hosts a service that clients reach, and says what becomes of it", () =>
  inServiceWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const { hosted, services, visits } = await openHosted(world, stack);
    const news: NodeServiceNews[] = [];
    using _listener = hosted.listen((one) => news.push(one));
    const { name, host } = await hosted.add({ ...NEW, name: "web" });
    const running = services.named("web");
    await running?.ready;
    const stream = await visits.connect({
      service: parseServiceHost(world.crypto, host),
      port: 80,
      isolation: "a visitor",
    }, { signal: NEVER });
    await stream.opened;
    assert.deepEqual(
      [...new Set(news.map((one) => one.news))].slice(0, 4),
      ["started", "uploading", "uploaded", "reachable"],
    );
    assert.ok(news.every((one) => one.host === host && one.name === name));
    const { ended } = await hosted.remove("web");
    await ended;
    assert.equal(news.at(-1)?.news, "stopped");
    assert.deepEqual(hosted.list(), []);
  }));

Deno.test("HostedServices.add() gives the expanded key of a new service, which brings its address back", () =>
  inServiceWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const { hosted, services } = await openHosted(world, stack);
    const first = await hosted.add(NEW);
    const secret = first.secret ?? assert.fail();
    await hosted.remove(first.host);
    const key = { type: "expanded", secret } as const;
    const second = await hosted.add({ ...NEW, key });
    assert.equal(second.host, first.host);
    assert.equal(second.secret, undefined);
    await services.named(second.name)?.ready;
  }));

Deno.test("HostedServices.add() refuses an expanded key that was made elsewhere, unless told to take it", () =>
  inServiceWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const { hosted } = await openHosted(world, stack);
    const secret = new Uint8Array(64).fill(0x40);
    const add = (key: { secret: typeof secret; allowForeign?: boolean }) =>
      codeOf(hosted.add({ ...NEW, key: { type: "expanded", ...key } }));
    assert.equal(await add({ secret }), "service.foreign_key");
    assert.equal(await add({ secret, allowForeign: true }), "done");
    for (const [at, byte] of [[0, 0x41], [31, 0xc0], [31, 0x00]] as const) {
      const wrong = secret.with(at, byte);
      assert.equal(
        await add({ secret: wrong, allowForeign: true }),
        "service.key",
      );
    }
    const short = secret.slice(1);
    assert.equal(
      await add({ secret: short, allowForeign: true }),
      "service.key",
    );
    assert.equal(
      await codeOf(
        hosted.add({ ...NEW, key: { type: "seed", seed: secret.slice(33) } }),
      ),
      "service.key",
    );
    assert.equal(hosted.list().length, 1);
  }));

Deno.test("HostedServices.add() refuses a name or a key in use, of whichever owner, and leaves nothing behind", () =>
  inServiceWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const { hosted, services } = await openHosted(world, stack);
    await services.start({ name: "web", targets: TARGETS });
    const seed = new Uint8Array(32).fill(3);
    const key = { type: "seed", seed } as const;
    await hosted.add({ ...NEW, name: "one", key });
    const owner = hosted.openOwner();
    for (const by of [undefined, owner]) {
      for (const name of ["web", "one"]) {
        assert.equal(
          await codeOf(hosted.add({ ...NEW, name }, by)),
          "service.twice",
        );
      }
      assert.equal(
        await codeOf(hosted.add({ ...NEW, name: "two", key }, by)),
        "service.key_in_use",
      );
    }
    // Both at once: one of them is first.
    const other = { type: "seed", seed: new Uint8Array(32).fill(4) } as const;
    const outcomes = await Promise.all(
      ["a", "b"].map((name) =>
        codeOf(hosted.add({ ...NEW, name, key: other }))
      ),
    );
    assert.deepEqual(outcomes.sort(), ["done", "service.key_in_use"]);
    assert.deepEqual(
      services.status.map(({ name }) => name).slice(0, 2),
      ["web", "one"],
    );
    await hosted.remove("one");
    assert.equal(
      await codeOf(hosted.add({ ...NEW, name: "two", key })),
      "done",
    );
  }));

Deno.test("HostedServices.remove() lets each owner remove its own services and those without one alone", () =>
  inServiceWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const { hosted, services } = await openHosted(world, stack);
    await services.start({ name: "node", targets: TARGETS });
    const [one, two] = [hosted.openOwner(), hosted.openOwner()];
    const of = new Map<string, ServiceOwner | undefined>();
    for (const [name, owner] of [["one", one], ["two", two]] as const) {
      await hosted.add({ ...NEW, name }, owner);
      of.set(name, owner);
    }
    await hosted.add({ ...NEW, name: "free" });
    const listed = hosted.list(one);
    assert.deepEqual(
      listed.map(({ name, owner, isMine }) => [name, owner, isMine]),
      [
        ["node", "node", false],
        ["one", "connection", true],
        ["two", "connection", false],
        ["free", "operator", false],
      ],
    );
    const remove = (service: string, by?: ServiceOwner) =>
      codeOf(hosted.remove(service, by));
    const address = listed.find(({ name }) => name === "two")?.host ?? "";
    for (
      const service of ["two", address, address.slice(0, 56).toUpperCase()]
    ) {
      assert.equal(await remove(service, one), "service.not_yours");
    }
    assert.equal(await remove("one"), "service.not_yours", "operator");
    for (const by of [undefined, one]) {
      assert.equal(await remove("node", by), "service.not_yours");
      assert.equal(await remove("none", by), "service.no_service");
      assert.equal(
        await remove("a".repeat(55) + "q.anon", by),
        "service.no_service",
      );
    }
    assert.equal(await remove(address, two), "done");
    assert.equal(await remove("free", one), "done");
    assert.equal(await remove("free", one), "service.no_service");
    assert.deepEqual(
      services.status.map(({ name }) => name),
      ["node", "one"],
    );
  }));

Deno.test("ServiceOwner takes all that it added along when it goes, and nothing of others", () =>
  inServiceWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const { hosted, services, context } = await openHosted(world, stack);
    await hosted.add({ ...NEW, name: "free" });
    const owner = hosted.openOwner();
    await hosted.add({ ...NEW, name: "its" }, owner);
    await services.named("its")?.ready;
    await services.named("free")?.ready;
    const circuits = () => context.circuits.open.size;
    const before = circuits();
    await owner[Symbol.asyncDispose]();
    await sleep(world.clock, MINUTE / 4);
    assert.deepEqual(services.status.map(({ name }) => name), ["free"]);
    assert.ok(circuits() <= before - 3, `${circuits()} of ${before} circuits`);
    assert.equal(
      await codeOf(hosted.add({ ...NEW, name: "late" }, owner)),
      "service.owner_gone",
    );
  }));

Deno.test("ServiceOwner leaves nothing behind when it goes in the middle of an add, at whatever moment", () =>
  inServiceWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const { hosted, services } = await openHosted(world, stack);
    const outcomes = new Set<string>();
    for (let turns = 0; turns < 12; turns++) {
      const owner = hosted.openOwner();
      const seed = new Uint8Array(32).fill(7);
      const key = { type: "seed", seed } as const;
      const added = codeOf(hosted.add({ ...NEW, name: "its", key }, owner));
      for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      await owner[Symbol.asyncDispose]();
      outcomes.add(await added);
      assert.deepEqual(services.status, [], `after ${turns} turns`);
    }
    assert.ok(outcomes.has("service.owner_gone"), [...outcomes].join());
    // Neither its name nor its key is taken.
    assert.equal(await codeOf(hosted.add({ ...NEW, name: "its" })), "done");
  }));

Deno.test("HostedServices.add() refuses one owner more than its share, and the others have places left", () =>
  inServiceWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const { hosted } = await openHosted(world, stack);
    world.network.answer = () => undefined; // circuits would take the test's time
    const owner = hosted.openOwner();
    for (let n = 0; n < MAX_OWNED_SERVICES; n++) {
      await hosted.add(NEW, owner);
    }
    assert.equal(await codeOf(hosted.add(NEW, owner)), "service.too_many");
    assert.equal(await codeOf(hosted.add(NEW)), "done");
    assert.equal(await codeOf(hosted.add(NEW, hosted.openOwner())), "done");
  }));

Deno.test("HostedServices.add() leaves the operator places, however many connections there are and whatever they detach", () =>
  inServiceWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const { hosted } = await openHosted(world, stack);
    world.network.answer = () => undefined; // circuits would take the test's time
    const owners = [hosted.openOwner(), hosted.openOwner()];
    for (let n = 0; n < MAX_PROGRAM_SERVICES; n++) {
      if (n % 3 === 0) await hosted.addDetached(NEW);
      else await hosted.add(NEW, owners[n % 2]);
    }
    assert.equal(await codeOf(hosted.addDetached(NEW)), "service.too_many");
    for (const owner of [...owners, hosted.openOwner()]) {
      assert.equal(await codeOf(hosted.add(NEW, owner)), "service.too_many");
    }
    assert.equal(await codeOf(hosted.add(NEW)), "done");
    const detached = hosted.list().find(({ owner }) => owner === "operator");
    await hosted.remove(detached?.name ?? "");
    assert.equal(await codeOf(hosted.addDetached(NEW)), "done");
  }));

Deno.test("HostedServices.restore() brings services back that were kept, until they are removed", () =>
  inServiceWorld(async (world) => {
    const hosts: string[] = [];
    let files;
    {
      await using stack = new AsyncDisposableStack();
      const node = await openHosted(world, stack);
      files = node.files;
      const { host } = await node.hosted.add({ ...STORED, name: "web" });
      hosts.push(host);
      await node.hosted.add({ ...NEW, name: "memory" });
      assert.deepEqual(
        node.hosted.list().map(({ name, isKept }) => [name, isKept]),
        [["web", true], ["memory", false]],
      );
    }
    for (const isLeft of [true, false]) {
      await using stack = new AsyncDisposableStack();
      const { hosted } = await openHosted(world, stack, files);
      await hosted.restore();
      const listed = hosted.list();
      assert.deepEqual(listed.map(({ name }) => name), isLeft ? ["web"] : []);
      if (!isLeft) break;
      assert.deepEqual(listed.map(({ host }) => host), hosts);
      await hosted.remove("web");
    }
    // The address stays for another time.
    await using stack = new AsyncDisposableStack();
    const { hosted } = await openHosted(world, stack, files);
    const { host } = await hosted.add({ ...STORED, name: "web" });
    assert.deepEqual([host], hosts);
  }));

Deno.test("HostedServices.restore() goes on past a service that cannot be started, and lets it be removed", () =>
  inServiceWorld(async (world) => {
    let files;
    {
      await using stack = new AsyncDisposableStack();
      const node = await openHosted(world, stack);
      files = node.files;
      for (const name of ["one", "two"]) {
        await node.hosted.add({ ...STORED, name });
      }
    }
    await using stack = new AsyncDisposableStack();
    const { hosted, services, kept, log } = await openHosted(
      world,
      stack,
      files,
    );
    // The configuration has a service of that name by now.
    await services.start({ name: "one", targets: TARGETS });
    await hosted.restore();
    assert.deepEqual(services.status.map(({ name }) => name), ["one", "two"]);
    assert.equal(log.messages("warning").length, 1);
    assert.equal(kept.all.length, 2);
    await services.stop(services.named("one") ?? assert.fail());
    await hosted.remove("one");
    assert.deepEqual(kept.all.map(({ name }) => name), ["two"]);
  }));

Deno.test("HostedServices.add() hosts nothing that it could not remember", () =>
  inServiceWorld(async (world) => {
    await using stack = new AsyncDisposableStack();
    const files = new FailingFiles(new MemoryFiles());
    const { hosted, services } = await openHosted(world, stack, files);
    await hosted.add({ ...STORED, name: "web" });
    await hosted.remove("web");
    files.failAt = files.count + 1;
    files.staysBroken = true;
    assert.match(
      await codeOf(hosted.add({ ...STORED, name: "web" })),
      /^storage\./,
    );
    assert.deepEqual(services.status, []);
    files.staysBroken = false;
    files.failAt = 0;
  }));
