import assert from "node:assert/strict";
import { inServiceWorld } from "../node/session/service_world.ts";
import { flood, quickWork, type Strategy } from "./introduction_flood.ts";

/** Processors that the attacker has, each as quick as that of a visitor. */
const PROCESSORS = 16;
/** Seconds of virtual time beside the other tests; with more, all strategies are tried. */
const FEW_SECONDS = 5;
const SECONDS = Number(Deno.env.get("FLOOD_SECONDS") ?? FEW_SECONDS);

const STRATEGIES: readonly Strategy[] = SECONDS > FEW_SECONDS
  ? ["pays the price", "pays more", "pays little", "saves up"]
  : ["pays the price", "pays more"];

for (const [index, strategy] of STRATEGIES.entries()) {
  Deno.test(`nine in ten visitors get through 10,000 introductions per second of a flooder who ${strategy}`, () =>
    inServiceWorld(
      async (world) => {
        const service = await world.readyService();
        const report = await flood(
          world,
          service,
          strategy,
          PROCESSORS,
          SECONDS * 1000,
        );
        const { arrived, visitors, sent, passed } = report;
        const told = JSON.stringify(report);
        assert.ok(sent >= 10_000 * SECONDS, told);
        assert.ok(arrived >= 0.9 * visitors, told);
        assert.ok(passed < 0.02 * sent, told);
      },
      index + 1,
      quickWork,
    ));
}
