import assert from "node:assert/strict";
import type { ServiceCircuit } from "../../../lib/node/circuit/circuits.ts";
import {
  askPoint,
  satisfyPoint,
  WorkBudget,
} from "../../../lib/node/visit/meeting_introduction.ts";
import { SEALED_BYTES } from "../../../lib/service/meeting/introduction.ts";
import {
  decodeIntroduce1,
  encodeIntroduceAck,
  type IntroduceAnswer,
} from "../../../lib/service/meeting/introduction_messages.ts";
import {
  isWorkDone,
  LEAST_EFFORT,
  MAX_EFFORT,
  type Work,
} from "../../../lib/service/meeting/introduction_work.ts";
import {
  inServiceWorld,
  NEVER,
  type ServiceWorld,
} from "../session/service_world.ts";

const seed = new Uint8Array(32).fill(7);
const introduction = {
  authentication: new Uint8Array(32),
  sealed: new Uint8Array(SEALED_BYTES),
};
const demand = (effort: number): IntroduceAnswer => ({
  status: "work",
  demand: { seed, effort },
});
const passed: IntroduceAnswer = { status: "passed" };

/** A circuit whose last hop gives these answers, the last of them for ever. */
function pointOf(...answers: readonly IntroduceAnswer[]) {
  const works: (Work | undefined)[] = [];
  const ask: ServiceCircuit["ask"] = (_type, body) => {
    const answer = answers[Math.min(works.length, answers.length - 1)];
    works.push(decodeIntroduce1(body).work);
    return Promise.resolve(encodeIntroduceAck(answer ?? passed));
  };
  return { circuit: { ask } as ServiceCircuit, works };
}

async function introduce(
  world: ServiceWorld,
  circuit: ServiceCircuit,
  { crypto = world.crypto, signal = NEVER } = {},
) {
  const context = { ...world.context(), crypto };
  const limit = { signal };
  const first = await askPoint(context, circuit, introduction, limit);
  const budget = new WorkBudget();
  const status = await satisfyPoint(
    context,
    circuit,
    introduction,
    first,
    budget,
    limit,
  );
  return { status, budget };
}

Deno.test("satisfyPoint() computes nothing for a point that passes us on, or never will", () =>
  inServiceWorld(async (world) => {
    for (const status of ["passed", "unknown", "busy"] as const) {
      const { circuit, works } = pointOf({ status });
      assert.equal((await introduce(world, circuit)).status, status);
      assert.deepEqual(works, [undefined]);
    }
  }));

Deno.test("satisfyPoint() does the work that is demanded", () =>
  inServiceWorld(async (world) => {
    const { circuit, works } = pointOf(demand(2000), passed);
    assert.equal((await introduce(world, circuit)).status, "passed");
    const [, work] = works;
    assert.ok(work !== undefined && work.effort === 2000);
    assert.ok(isWorkDone(world.crypto, seed, introduction, work));
  }));

Deno.test("satisfyPoint() does more each time that a point demands again, and not for ever", () =>
  inServiceWorld(async (world) => {
    const { circuit, works } = pointOf(demand(LEAST_EFFORT));
    assert.equal((await introduce(world, circuit)).status, "busy");
    const efforts = works.map((work) => work?.effort);
    const [once, twice] = [LEAST_EFFORT, 2 * LEAST_EFFORT];
    assert.deepEqual(efforts, [undefined, once, twice, 2 * twice, 4 * twice]);
  }));

Deno.test("satisfyPoint() computes so much and no more, whatever a point demands", () =>
  inServiceWorld(async (world) => {
    // Hashes that are never right, and cost next to nothing.
    const never = new Uint8Array(32).fill(255);
    const crypto = { ...world.crypto, sha256: () => never };
    const { circuit, works } = pointOf(demand(MAX_EFFORT));
    const { status, budget } = await introduce(world, circuit, { crypto });
    assert.equal(status, "busy");
    assert.equal(budget.hashes, 0);
    assert.equal(works.length, 1);
    assert.ok(world.clock.nowMs() > 1_000, "it rests in between");
  }));

Deno.test("satisfyPoint() stops computing when its caller waits no more", () =>
  inServiceWorld(async (world) => {
    const never = new Uint8Array(32).fill(255);
    const crypto = { ...world.crypto, sha256: () => never };
    const { circuit } = pointOf(demand(MAX_EFFORT));
    const control = new AbortController();
    world.clock.schedule(20, () => control.abort(new Error("enough")));
    await assert.rejects(
      introduce(world, circuit, { crypto, signal: control.signal }),
      /enough/,
    );
    assert.ok(world.clock.nowMs() < 30);
  }));

Deno.test("askPoint() does not wait for ever, and refuses a demand that no point may make", () =>
  inServiceWorld(async (world) => {
    const { circuit } = pointOf(demand(MAX_EFFORT + 1));
    await assert.rejects(introduce(world, circuit), {
      code: "service.work_demand",
    });
    const silent = {
      ask: (_type, _body, { signal }) =>
        new Promise((_, reject) =>
          signal.addEventListener("abort", () => reject(signal.reason))
        ),
    } as Pick<ServiceCircuit, "ask"> as ServiceCircuit;
    await assert.rejects(introduce(world, silent), { code: "service.no_ack" });
  }));
