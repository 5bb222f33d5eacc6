/**
 * The web server behind a measured service, as a process of its own: `/BYTES` is so
 * many bytes. It does as little as can be, since it runs on the same processors.
 *
 *     deno run --allow-net bench/peers/origin.ts PORT
 *
 * @module
 */
import { createServer } from "node:http";

const CHUNK = new Uint8Array(256 * 1024).fill(0x61);

createServer((request, response) => {
  const length = Number(request.url?.slice(1)) || 0;
  response.writeHead(200, { "content-length": length });
  let left = length;
  const send = () => {
    while (left > 0) {
      const count = Math.min(left, CHUNK.length);
      left -= count;
      if (!response.write(CHUNK.subarray(0, count))) {
        response.once("drain", send);
        return;
      }
    }
    response.end();
  };
  send();
}).listen(Number(Deno.args[0]), "127.0.0.1");
