/** What `anonnet doctor` says of a node of processes, well and broken. */
import assert from "node:assert/strict";
import { runProgram } from "../support/process.ts";
import { ProcessNetwork } from "../support/process_network.ts";

/** A finding, as `--json` prints it. */
interface Finding {
  readonly what: string;
  readonly grade: string;
  readonly words: string;
  readonly next?: string;
}

/** Ask the doctor. */
async function diagnose(state: string, ...words: string[]) {
  const asked = await runProgram([
    "doctor",
    "--json",
    `--state=${state}`,
    ...words,
  ]);
  const { verdict, findings } = JSON.parse(asked.stdout) as {
    verdict: string;
    findings: Finding[];
  };
  return {
    code: asked.code,
    verdict,
    findings,
    failures: findings.filter(({ grade }) => grade === "fail"),
  };
}

Deno.test("doctor visits a running service from outside, and names a dead server, a node that stopped and a port that is taken", async () => {
  const target = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen() {} },
    () => new Response("well"),
  );
  await using network = await ProcessNetwork.start({ relays: 4 });
  const service = await network.serve([`80=127.0.0.1:${target.addr.port}`], [
    "--name=blog",
    "--hops=2",
  ]);

  const well = await diagnose(service.state);
  assert.deepEqual(well.failures, []);
  assert.equal(well.code, 0);
  const visited = well.findings.find(({ what }) => what === "service blog");
  assert.equal(visited?.words, "port 80 answers a visitor");

  await target.shutdown();
  const dead = await diagnose(service.state);
  assert.deepEqual([dead.code, dead.verdict], [1, "fail"]);
  const [failure] = dead.failures;
  assert.equal(dead.failures.length, 1, JSON.stringify(dead.failures));
  assert.match(failure?.words ?? "", /what stands behind it does not answer/);
  assert.match(failure?.next ?? "", /start the server/);

  await service.end();
  const stopped = await diagnose(service.state);
  assert.deepEqual([stopped.code, stopped.verdict], [0, "warn"]);
  assert.equal(
    stopped.findings.find(({ what }) => what === "node")?.words,
    "does not run",
  );
  const place = /@([0-9.]+:[0-9]+)/.exec(network.relays[0]?.address ?? "")?.[1];
  const taken = await diagnose(service.state, `--listen=${place}`);
  assert.equal(taken.code, 1);
  assert.match(taken.failures[0]?.words ?? "", /is taken by another program/);

  // A process that was killed leaves its note behind.
  service.begin();
  await service.becomeReady();
  await service.end("kill");
  const killed = await diagnose(service.state);
  assert.equal(killed.code, 1);
  assert.match(killed.failures[0]?.words ?? "", /does not answer/);
});
