import assert from "node:assert/strict";
import type { OwnCircuit } from "../../lib/node/circuit/own_circuit.ts";
import { MAX_EXTEND_ATTEMPTS } from "../../lib/circuit/relay_circuit.ts";
import { SEALED_BYTES } from "../../lib/service/meeting/introduction.ts";
import { IntroductionKeys } from "../../lib/service/meeting/introduction_keys.ts";
import {
  decodeIntroduceAck,
  encodeEstablishIntro,
  encodeIntroduce1,
} from "../../lib/service/meeting/introduction_messages.ts";
import {
  allGone,
  build,
  CIRCUIT_CRYPTO,
  startClient,
  startRelay,
  withCircuits,
} from "../node/circuit/circuit_world.ts";
import { inMemory, type MemoryWorld } from "../node/link/link_world.ts";

const run = withCircuits<MemoryWorld>(inMemory);

Deno.test("An introduction passes once on its circuit, whatever its client extends in between", () =>
  run(async (world) => {
    const relay = await startRelay(world);
    const keys = await IntroductionKeys.generate(CIRCUIT_CRYPTO, world.random);
    const client = await startClient(world);
    const service = await build(client, [relay]);
    let heard = 0;
    service.onIntroduction(() => heard++);
    await service.ask(
      "establish_intro",
      encodeEstablishIntro(keys, service.binding),
    );
    const sealed = new Uint8Array(SEALED_BYTES);
    const body = encodeIntroduce1({ ...keys.public, sealed });
    const circuit: OwnCircuit = await build(client, [relay]);
    const gone = await startRelay(world);
    await gone.node.endpoint[Symbol.asyncDispose]();
    let passed = 0;
    for (let n = 0; n <= MAX_EXTEND_ATTEMPTS; n++) {
      const answer = await circuit.ask("introduce1", body).catch(() =>
        undefined
      );
      if (answer === undefined) break;
      assert.equal(decodeIntroduceAck(answer).status, "passed");
      passed++;
      // To where no relay is any more: the first one is the last hop again.
      const result = await circuit.extend(gone.record).catch(() => undefined);
      if (result?.ok !== false) break;
    }
    assert.equal(passed, 1, `passed ${passed} times`);
    assert.equal(heard, 1);
    circuit.close();
    service.close();
    await allGone(world, [relay]);
  }));
