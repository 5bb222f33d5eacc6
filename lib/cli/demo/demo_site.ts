/**
 * The website of the demo: a page to look at, and bytes whose digest a visitor can
 * work out, to see that they arrive as they left.
 *
 *     GET /                      the page
 *     GET /bytes?count=&seed=    a million pseudo-random bytes, again and again
 *     POST /echo                 what was sent
 *
 * @module
 */
import { createHash } from "node:crypto";

/** Most bytes that one request gets. */
const MAX_BYTES = 1024 * 1024 * 1024;
const CHUNK_BYTES = 64 * 1024;
/** Different chunks; then they come again. */
const CHUNKS = 16;

const PAGE = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>AnonNet demo</title>
<style>
  body { font: 1.1rem/1.5 system-ui, sans-serif; max-width: 36rem; margin: 4rem auto; padding: 0 1rem; color: #1d2733; background: #f6f8fa }
  h1 { font-size: 1.6rem } code { background: #e4e9ee; padding: .1rem .3rem; border-radius: .2rem }
</style>
<h1>It works</h1>
<p>This page came over six relays. The service does not know who you are, you do
not know where it is, and no relay on the way knows both.
<p>Fetch <code>/bytes?count=1000000&amp;seed=7</code> for bytes to measure with.
</html>
`;

/** Answer a request to the demo. */
export async function demoSite(request: Request): Promise<Response> {
  const url = new URL(request.url);
  switch (`${request.method} ${url.pathname}`) {
    case "GET /":
    case "HEAD /":
      return new Response(PAGE, {
        headers: { "content-type": "text/html; charset=utf-8" },
      });
    case "GET /bytes": {
      const count = Number(url.searchParams.get("count") ?? "65536");
      if (!Number.isInteger(count) || count < 0 || count > MAX_BYTES) {
        return new Response("No such number of bytes\n", { status: 400 });
      }
      return new Response(
        ReadableStream.from(
          demoBytes(count, url.searchParams.get("seed") ?? ""),
        ),
        { headers: { "content-type": "application/octet-stream" } },
      );
    }
    case "POST /echo":
      return new Response(await request.bytes());
    default:
      return new Response("There is no such page\n", { status: 404 });
  }
}

/** The bytes of a seed, in pieces. */
export function* demoBytes(
  count: number,
  seed: string,
): Generator<Uint8Array<ArrayBuffer>> {
  const chunks = Array.from(
    { length: Math.min(CHUNKS, Math.ceil(count / CHUNK_BYTES)) },
    (_, index) => makeChunk(`${seed}/${index}`),
  );
  for (let at = 0, index = 0; at < count; index++) {
    const chunk = chunks[index % CHUNKS] ?? new Uint8Array(0);
    const piece = chunk.slice(0, Math.min(CHUNK_BYTES, count - at));
    yield piece;
    at += piece.length;
  }
}

function makeChunk(seed: string): Uint8Array<ArrayBuffer> {
  const chunk = new Uint8Array(CHUNK_BYTES);
  for (let at = 0; at < CHUNK_BYTES; at += 32) {
    chunk.set(createHash("sha256").update(`${seed}/${at}`).digest(), at);
  }
  return chunk;
}
