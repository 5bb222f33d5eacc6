/**
 * The first words on a connection, said by hand.
 *
 * @module
 */
import assert from "node:assert/strict";
import {
  decodeHandshake,
  MAX_HANDSHAKE_BYTES,
} from "../../../lib/link/handshake_message.ts";
import { FrameStream } from "../../../lib/node/link/frame_stream.ts";
import type {
  ByteStream,
  Connection,
  Endpoint,
} from "../../../lib/transport/transport.ts";
import type { LinkWorld, TestNode } from "./link_world.ts";

/** A connection on which nothing has been said. */
export interface RawStream {
  readonly connection: Connection;
  readonly stream: ByteStream;
  readonly frames: FrameStream;
}

/** The first stream of a new connection to `target`, from an endpoint of its own or from this one. */
export async function rawStream(
  world: LinkWorld,
  target: TestNode,
  from?: Endpoint,
): Promise<RawStream> {
  const endpoint = from ?? await world.endpoint(world.identity());
  const connection = await endpoint.dial(
    target.endpoint.localAddress,
    target.identity.publicKey,
  );
  const stream = await connection.openStream();
  const frames = new FrameStream(stream, MAX_HANDSHAKE_BYTES);
  return { connection, stream, frames };
}

/** The next message is the uniform refusal, or the challenge and then that. */
export async function refused(
  { connection, frames }: RawStream,
): Promise<void> {
  for (;;) {
    const message = await frames.read();
    assert.ok(message !== undefined, "the stream ended without a word");
    const { type } = decodeHandshake(message);
    if (type === "refused") return connection.close(0);
    assert.equal(type, "challenge");
  }
}
