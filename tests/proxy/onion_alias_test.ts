/** Addresses of Tor's form at both proxies. */
import assert from "node:assert/strict";
import { asPublicKey } from "../../lib/auth/identity.ts";
import { concat, utf8 } from "../../lib/base/bytes.ts";
import { UnreachableError } from "../../lib/base/errors.ts";
import { nobleSuite } from "../../lib/crypto/noble.ts";
import { formatServiceHost } from "../../lib/service/address.ts";
import {
  formatOnionLabel,
  hostOfAlias,
} from "../../lib/torcontrol/onion_alias.ts";
import { head } from "../http/smuggling_corpus.ts";
import {
  echo,
  httpService,
  httpWorld,
  ok,
  socksWorld,
  type World,
} from "./world.ts";

const crypto = nobleSuite();
const KEY = asPublicKey(crypto.signer(new Uint8Array(32).fill(1)).publicKey);
const HOST = formatServiceHost(crypto, KEY);
const ALIAS = `${formatOnionLabel(KEY)}.onion`;
const MISTYPED = (ALIAS.startsWith("a") ? "b" : "a") + ALIAS.slice(1);
const alias = (host: string) => hostOfAlias(crypto, host);

/** The reply to a CONNECT, with extended replies. */
async function connectBySocks(
  world: Pick<World<unknown>, "connect">,
  host: string,
): Promise<number> {
  using client = await world.connect();
  await client.send(Uint8Array.of(5, 2, 0, 0xf0));
  await client.read(2);
  const name = utf8(host);
  await client.send(
    concat(Uint8Array.of(5, 1, 0, 3, name.length), name, Uint8Array.of(0, 80)),
  );
  const reply = await client.read(10);
  return reply[1] ?? -1;
}

async function getByHttp(
  world: Pick<World<unknown>, "connect">,
  host: string,
): Promise<string> {
  using client = await world.connect();
  await client.send(
    head(`GET http://${host}/a HTTP/1.1`, `Host: ${host}`, "Connection: close"),
  );
  return await client.readAll();
}

Deno.test("SocksServer turns an alias into the .anon host before it asks, and only where that is wished for", async () => {
  await using plain = await socksWorld();
  assert.equal(await connectBySocks(plain, ALIAS), 2);
  assert.deepEqual(plain.gateway.asked, []);
  await using world = await socksWorld({ alias });
  world.gateway.service = echo;
  assert.equal(await connectBySocks(world, `www.${ALIAS.toUpperCase()}`), 0);
  assert.deepEqual(world.gateway.asked, [
    { host: `www.${HOST}`, port: 80, isolation: undefined, isAlias: true },
  ]);
  assert.equal(await connectBySocks(world, HOST), 0);
  assert.deepEqual(world.gateway.asked[1], {
    host: HOST,
    port: 80,
    isolation: undefined,
  });
});

Deno.test("SocksServer refuses what is no alias before it asks, and says so of one that is not of this network", async () => {
  await using world = await socksWorld({ alias });
  assert.equal(await connectBySocks(world, MISTYPED), 0xf6);
  assert.equal(await connectBySocks(world, "expyuzz4wqqyqhjn.onion"), 0xf6);
  assert.equal(await connectBySocks(world, "example.com"), 2);
  assert.deepEqual(world.gateway.asked, []);
  world.gateway.error = new UnreachableError("service.not_of_network", "No");
  assert.equal(await connectBySocks(world, ALIAS), 0xf0);
});

Deno.test("HttpServer shows a service its own host, whatever alias the client named", async () => {
  await using world = await httpWorld({ alias });
  const heads: string[] = [];
  world.gateway.service = httpService((request) => {
    heads.push(request);
    return ok("hello");
  });
  assert.match(await getByHttp(world, ALIAS), /hello$/);
  assert.deepEqual(heads, [`GET /a HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`]);
  assert.equal(world.gateway.last.target.host, HOST);
});

Deno.test("HttpServer says of an alias what is wrong with it", async () => {
  await using world = await httpWorld({ alias });
  assert.match(
    await getByHttp(world, MISTYPED),
    /^HTTP\/1\.1 400 [^]*mistyped or cut/,
  );
  assert.deepEqual(world.gateway.asked, []);
  world.gateway.error = new UnreachableError("service.not_of_network", "No");
  assert.match(
    await getByHttp(world, ALIAS),
    /^HTTP\/1\.1 502 [^]*This \.onion address is not of this network/,
  );
});
