/**
 * Visitors of one service, each with an isolation of its own, behind some nodes.
 *
 * @module
 */
import assert from "node:assert/strict";
import { sleep } from "../../lib/base/clock.ts";
import { AnonNetError } from "../../lib/base/errors.ts";
import { exchange } from "../node/session/service_world.ts";
import type { WholeWorld, WorldClient, WorldService } from "./whole_world.ts";

/** What a visitor sends, and has back. */
export const WORD = new TextEncoder().encode("a small request");

/** Sends visitors, each with an isolation of its own. */
export class Crowd {
  readonly #world: WholeWorld;
  readonly #clients: readonly WorldClient[];

  constructor(world: WholeWorld, clients: readonly WorldClient[]) {
    this.#world = world;
    this.#clients = clients;
  }

  static async gather(world: WholeWorld): Promise<Crowd> {
    const clients = [
      await world.addClient("one"),
      await world.addClient("two"),
    ];
    return new Crowd(world, clients);
  }

  /** Open a stream. */
  async stream({ publicKey }: WorldService, visitor: number) {
    const client = this.#clients[visitor % this.#clients.length];
    assert.ok(client !== undefined);
    return await client.role.visits.connect(
      { service: publicKey, port: 80, isolation: `visitor ${visitor}` },
      { signal: new AbortController().signal },
    );
  }

  /** One small request. @returns How long it took, ms, or the code of its error. */
  async visit(
    service: WorldService,
    visitor: number,
  ): Promise<number | string> {
    const { clock } = this.#world;
    const startMs = clock.nowMs();
    return await outcomeOf((async () => {
      const stream = await this.stream(service, visitor);
      assert.deepEqual(await exchange(stream, WORD), WORD);
      return clock.nowMs() - startMs;
    })());
  }

  /** So many visits that begin within so many ms. */
  async come(service: WorldService, count: number, withinMs: number) {
    return await Promise.all(
      Array.from({ length: count }, async (_, visitor) => {
        await sleep(this.#world.clock, withinMs * visitor / count);
        return await this.visit(service, visitor);
      }),
    );
  }
}

/** Links that a node took for silent. */
export function takenForSilent({ machine }: WorldClient): number {
  return machine.log.lines.filter(({ message, fields }) =>
    message === "Link ended" && fields?.["reason"] === "link.silent"
  ).length;
}

/** Codes of the visits that failed. */
export function failuresOf(outcomes: readonly (number | string)[]): string[] {
  return outcomes.filter((outcome) => typeof outcome === "string");
}

/** What a visit came to: how long it took, ms, or the code of its error. */
export async function outcomeOf(
  visit: Promise<number>,
): Promise<number | string> {
  try {
    return await visit;
  } catch (error) {
    if (error instanceof AnonNetError) return error.code;
    throw error;
  }
}

/** Say what a long run has measured. */
export function tell(facts: Readonly<Record<string, unknown>>): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify(facts)}\n`));
}
