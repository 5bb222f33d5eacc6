import assert from "node:assert/strict";
import { sleep } from "../../lib/base/clock.ts";
import { SecretPath } from "../../lib/share/secret_path.ts";
import { LIST_TYPE } from "../../lib/share/share_page.ts";
import { GRACE_MS } from "../../lib/share/share_site.ts";
import { MAX_HELD_OPEN } from "../../lib/share/shared_file.ts";
import { systemError } from "../support/failing_files.ts";
import { createDrain } from "../../lib/sim/world/drain.ts";
import { VirtualClock } from "../../lib/base/virtual_clock.ts";
import { runOn } from "../transport/world.ts";
import { diskWith, PATH, ShareWorld } from "./share_world.ts";

const TEXT = "0123456789";
const NAME = "report.pdf";
const FILE = "/files/report.pdf";

Deno.test("ShareSite gives a file with what a download and its resuming need, and tells no date", async () => {
  const world = await ShareWorld.of(diskWith(TEXT), [FILE]);
  const { response, confirm } = await world.visit(NAME);
  assert.equal(response.status, 200);
  const { headers } = response;
  assert.equal(headers.get("content-length"), "10");
  assert.equal(headers.get("content-type"), "application/pdf");
  assert.equal(
    headers.get("content-disposition"),
    'attachment; filename="report.pdf"',
  );
  assert.match(headers.get("etag") ?? "", /^"[\w-]{43}"$/);
  // SHA-256 of 0123456789
  assert.equal(
    headers.get("repr-digest"),
    "sha-256=:hNiYd/DUBB77ayaTytDwlEDDgmXpdaMPqbyPZ5A1eg8=:".replace(
      /:.*:/,
      `:${
        new Uint8Array(
          await crypto.subtle.digest("SHA-256", new TextEncoder().encode(TEXT)),
        ).toBase64()
      }:`,
    ),
  );
  assert.equal(headers.get("referrer-policy"), "no-referrer");
  assert.match(headers.get("content-security-policy") ?? "", /sandbox/);
  for (const name of ["last-modified", "date", "server"]) {
    assert.equal(headers.get(name), null, name);
  }
  assert.equal(await response.text(), TEXT);
  assert.deepEqual(world.told, []);
  await confirm();
  assert.deepEqual(world.told, ["report.pdf 1"]);
  assert.equal(world.disk.openCount, 0);
});

Deno.test("ShareSite gives parts, the whole to who has another file, and nothing anew to who has it", async () => {
  const world = await ShareWorld.of(diskWith(TEXT), [FILE]);
  const etag = (await world.visit(NAME, { method: "HEAD" }))
    .response.headers.get("etag") ?? "";
  const ask = (headers: Record<string, string>) =>
    world.visit(NAME, { headers });
  const part = (await ask({ range: "bytes=3-5" })).response;
  assert.equal(part.status, 206);
  assert.equal(part.headers.get("content-range"), "bytes 3-5/10");
  assert.equal(part.headers.get("content-length"), "3");
  assert.equal(await part.text(), "345");
  const rest = (await ask({ range: "bytes=7-", "if-range": etag })).response;
  assert.deepEqual([rest.status, await rest.text()], [206, "789"]);
  const other = (await ask({ range: "bytes=7-", "if-range": '"x"' })).response;
  assert.deepEqual([other.status, await other.text()], [200, TEXT]);
  const behind = (await ask({ range: "bytes=10-" })).response;
  assert.equal(behind.status, 416);
  assert.equal(behind.headers.get("content-range"), "bytes */10");
  const same = (await ask({ "if-none-match": etag })).response;
  assert.equal(same.status, 304);
  const unmatched = (await ask({ "if-match": '"x"' })).response;
  assert.equal(unmatched.status, 412);
  assert.equal(world.disk.openCount, 0);
});

Deno.test("ShareSite answers HEAD with the length and no body, and refuses other methods", async () => {
  const world = await ShareWorld.of(diskWith(TEXT), [FILE]);
  const head = (await world.visit(NAME, { method: "HEAD" })).response;
  assert.equal(head.status, 200);
  assert.equal(head.headers.get("content-length"), "10");
  assert.equal(head.body, null);
  for (const method of ["POST", "PUT", "DELETE", "OPTIONS"]) {
    const { response } = await world.visit(NAME, { method });
    assert.equal(response.status, 405, method);
    assert.equal(response.headers.get("allow"), "GET, HEAD");
  }
});

Deno.test("ShareSite shows nothing to who has not the secret, and no path beside the files", async () => {
  const disk = diskWith(TEXT);
  disk.put("/files/secret.txt", new Uint8Array(1));
  const world = await ShareWorld.of(disk, [FILE]);
  const paths = [
    ...["/", "/report.pdf", "//", "/x/report.pdf", `${PATH.prefix}x`],
    ...[`${PATH.prefix}secret.txt`, `${PATH.prefix}..%2fsecret.txt`],
    ...[`${PATH.prefix}%2e%2e/secret.txt`, `${PATH.prefix}%ff`],
    ...[`${PATH.prefix}report.pdf/`, `${PATH.prefix}/report.pdf`],
    ...[`/${PATH.prefix}report.pdf`, PATH.prefix.slice(0, -2)],
    ...[`${PATH.prefix}__proto__`, `${PATH.prefix}home/report.pdf`],
  ];
  for (const path of paths) {
    assert.equal((await world.ask(path)).response.status, 404, path);
  }
  const bare = (await world.ask(PATH.prefix.slice(0, -1))).response;
  assert.equal(bare.status, 308);
  assert.equal(bare.headers.get("location"), PATH.prefix);
});

Deno.test("ShareSite lists names, sizes and sums on a page without script, and for programs", async () => {
  const disk = diskWith(TEXT);
  const evil = '<img src=x onerror="1">&\u202E.txt';
  disk.directory("/files/photos");
  disk.directory("/files/photos/2024");
  disk.put("/files/photos/1.jpg", new Uint8Array(2_000));
  disk.put(`/files/photos/2024/${evil}`, new Uint8Array(3));
  const world = await ShareWorld.of(disk, [FILE, "/files/photos"], {
    title: "<b>Mine</b>",
  });
  const [status, page] = await world.read("");
  assert.equal(status, 200);
  assert.match(page, /&#60;b&#62;Mine/);
  assert.match(page, /3 files, 2\.0 kB/);
  assert.match(page, /<a href="\.\/report\.pdf">/);
  assert.match(page, /<a href="\.\/photos\/">/);
  assert.match(page, /<code>[0-9a-f]{64}<\/code>/);
  const [, below] = await world.read("photos/2024/");
  assert.doesNotMatch(below, /<img|\u202E|javascript:/);
  assert.match(below, /href="\.\/%3Cimg%20/);
  const { response } = await world.visit("");
  assert.match(
    response.headers.get("content-security-policy") ?? "",
    /default-src 'none'.*form-action 'none'/,
  );
  const list = await (await world.visit("", { headers: { accept: LIST_TYPE } }))
    .response.json();
  assert.deepEqual(
    list.files.map(({ name, bytes }: Record<string, unknown>) => [name, bytes]),
    [["report.pdf", 10], ["photos/1.jpg", 2_000], [`photos/2024/${evil}`, 3]],
  );
  for (const { href, bytes } of list.files) {
    const url = new URL(href, `http://x.anon${PATH.prefix}`);
    const file = (await world.ask(url.pathname)).response;
    assert.equal((await file.bytes()).length, bytes, href);
  }
});

Deno.test("ShareSite of a public share has no secret in its paths", async () => {
  const path = new SecretPath(undefined);
  const world = await ShareWorld.of(diskWith(TEXT), [FILE], { path });
  assert.equal((await world.ask("/report.pdf")).response.status, 200);
  assert.equal((await world.ask("/")).response.status, 200);
});

Deno.test("ShareSite refuses a file that was changed, exchanged, linked elsewhere or removed, and says so once", async () => {
  const changes: readonly ((disk: ReturnType<typeof diskWith>) => void)[] = [
    (disk) => disk.overwrite(FILE, new TextEncoder().encode("9876543210")),
    (disk) => disk.put(FILE, new TextEncoder().encode(TEXT)),
    (disk) => disk.remove(FILE),
    (disk) => {
      disk.put("/etc/shadow", new TextEncoder().encode(TEXT));
      disk.link(FILE, "/etc/shadow");
    },
  ];
  for (const change of changes) {
    const disk = diskWith(TEXT);
    const world = await ShareWorld.of(disk, [FILE]);
    change(disk);
    for (let n = 0; n < 2; n++) {
      const [status, page] = await world.read(NAME);
      assert.equal(status, 409);
      assert.match(page, /changed, moved or removed/);
    }
    assert.deepEqual(world.told, ["changed report.pdf"]);
    assert.equal(disk.openCount, 0);
  }
});

Deno.test("ShareSite breaks off where a file changes during a download", async () => {
  for (const bytes of [new Uint8Array(0), new Uint8Array(2_000_000).fill(1)]) {
    const disk = diskWith(new Uint8Array(2_000_000));
    const world = await ShareWorld.of(disk, [FILE]);
    disk.onRead = (_path, at) => {
      if (at > 1_000_000) disk.overwrite(FILE, bytes);
    };
    const { response, breakOff } = await world.visit(NAME);
    await assert.rejects(response.bytes(), { code: "share.changed" });
    await breakOff();
    assert.deepEqual(world.told, []);
    assert.equal(disk.openCount, 0);
  }
});

Deno.test("ShareSite closes the file of a visitor who leaves", async () => {
  const disk = diskWith(new Uint8Array(2_000_000));
  const world = await ShareWorld.of(disk, [FILE]);
  const { response, breakOff } = await world.visit(NAME);
  const reader = response.body?.getReader();
  await reader?.read();
  assert.equal(disk.openCount, 1);
  await reader?.cancel();
  await breakOff();
  assert.equal(disk.openCount, 0);
});

Deno.test("ShareSite takes no more downloads than it is told, and cuts none that runs", async () => {
  const disk = diskWith(TEXT);
  disk.put("/files/other", new Uint8Array(1));
  const world = await ShareWorld.of(disk, [FILE, "/files/other"], { most: 1 });
  let isDone = false;
  world.site.done.then(() => isDone = true);
  const slow = await world.visit(NAME);
  await world.read(NAME);
  assert.deepEqual(world.told, ["report.pdf 1"]);
  assert.equal((await world.read(NAME))[0], 410);
  assert.equal(
    (await world.read(NAME, { headers: { range: "bytes=5-" } }))[0],
    410,
  );
  assert.equal(await slow.response.text(), TEXT, "it had begun before");
  assert.equal((await world.read("other"))[0], 200);
  assert.equal(isDone, false, "one still runs");
  await slow.confirm();
  await world.site.done;
  assert.deepEqual(world.told, ["report.pdf 1", "other 1", "report.pdf 2"]);
});

Deno.test("ShareSite waits for who was cut off, lets him go on, and not for ever", () => {
  const clock = new VirtualClock({ drain: createDrain() });
  return runOn(
    clock,
    (async () => {
      const world = await ShareWorld.of(diskWith(TEXT), [FILE], {
        most: 1,
        clock,
      });
      const [cut, gone] = [await world.visit(NAME), await world.visit(NAME)];
      for (const { response, breakOff } of [cut, gone]) {
        await response.text();
        await breakOff();
      }
      await world.read(NAME);
      await sleep(clock, GRACE_MS / 2);
      assert.equal((await world.read(NAME))[0], 410);
      const goingOn = await world.read(NAME, {
        headers: { range: "bytes=4-" },
      });
      assert.deepEqual(goingOn, [206, "456789"]);
      const beganMs = clock.nowMs();
      await world.site.done;
      assert.ok(clock.nowMs() - beganMs <= GRACE_MS);
      assert.deepEqual(world.told, ["report.pdf 1", "report.pdf 2"]);
    })(),
  );
});

Deno.test("ShareSite counts who resumes after a restart of the share", async () => {
  const disk = diskWith(TEXT);
  const before = await ShareWorld.of(disk, [FILE], { most: 1 });
  await before.visit(NAME); // and the process is killed
  const records = new Map(
    before.site.records.map(({ file, deliveries }) =>
      [file.name.join("/"), deliveries] as const
    ),
  );
  const world = await ShareWorld.of(disk, [FILE], { most: 1, before: records });
  await world.read(NAME, { headers: { range: "bytes=4-" } });
  assert.deepEqual(world.told, ["report.pdf 1"]);
  await world.site.done;
});

Deno.test("ShareSite gives empty files", async () => {
  const world = await ShareWorld.of(diskWith(""), [FILE], { most: 1 });
  assert.deepEqual(await world.read(NAME), [200, ""]);
  await world.site.done;
});

Deno.test("ShareSite keeps few files open for many visitors who read slowly, and serves them all", async () => {
  const bytes = new Uint8Array(1_000_000).map((_, index) => index % 251);
  const world = await ShareWorld.of(diskWith(bytes), [FILE]);
  const visits = [];
  for (let n = 0; n < MAX_HELD_OPEN + 100; n++) {
    visits.push(await world.visit(NAME));
  }
  assert.ok(world.disk.openCount <= MAX_HELD_OPEN, `${world.disk.openCount}`);
  assert.ok(world.disk.openCount > 0);
  for (const { response, confirm } of visits.slice(-20)) {
    assert.deepEqual(await response.bytes(), bytes);
    await confirm();
  }
  for (const { response } of visits.slice(0, -20)) {
    await response.body?.cancel();
  }
  assert.equal(world.disk.openCount, 0);
  const again = await world.visit(NAME);
  assert.equal(world.disk.openCount, 1, "places were given back");
  await again.response.body?.cancel();
});

Deno.test("ShareSite takes no file for changed because too many are open", async () => {
  const disk = diskWith(TEXT);
  const world = await ShareWorld.of(disk, [FILE]);
  const { open } = disk;
  disk.open = () =>
    Promise.reject(systemError("EMFILE", "Too many open files"));
  await assert.rejects(world.visit(NAME), { code: "EMFILE" });
  assert.deepEqual(world.told, []);
  disk.open = open;
  assert.deepEqual(await world.read(NAME), [200, TEXT]);
});
