import assert from "node:assert/strict";
import { UnreachableError } from "../../../lib/base/errors.ts";
import { sleep } from "../../../lib/base/clock.ts";
import type { TargetDial } from "../../../lib/node/host/target_dial.ts";
import type { Sensitive } from "../../../lib/log/log.ts";
import { inServiceWorld, MINUTE, NEVER } from "../session/service_world.ts";

/** Lines about targets that an operator sees without debugging. */
const SEEN = /A visitor was refused/;

for (const code of ["service.target_refused", "service.target_timeout"]) {
  Deno.test(`a service says in its log that its target fails (${code}), and where only at debug`, () =>
    inServiceWorld(async (world) => {
      const address = { host: "192.0.2.7", port: 8080 };
      const dial: TargetDial = () =>
        Promise.reject(new UnreachableError(code, "No"));
      const service = await world.readyService({
        targets: new Map([[80, { type: "tcp", address }]]),
        dial,
      });
      const client = world.client();
      const visit = async () => {
        const stream = await client.visits.connect(
          { service: service.publicKey, port: 80, isolation: undefined },
          { signal: NEVER },
        );
        await assert.rejects(stream.opened);
      };
      const seen = () =>
        service.log.lines.filter(({ level, message }) =>
          level === "warning" && SEEN.test(message)
        );
      for (let n = 0; n < 10; n++) await visit();
      // However many visitors there are, the operator gets a few lines.
      assert.equal(seen().length, 3);
      assert.equal(seen()[0]?.fields["port"], 80);
      assert.doesNotMatch(JSON.stringify(seen()), /192\.0\.2\.7|8080/);
      await sleep(world.clock, MINUTE);
      await visit();
      assert.equal(seen().length, 4);
      assert.equal(seen()[3]?.fields["unsaid"], 7);
      const [debug] = service.log.lines.filter(({ message }) =>
        message === "A target was dialled in vain"
      );
      assert.equal(debug?.level, "debug");
      assert.equal(
        (debug?.fields["target"] as Sensitive).reveal(),
        "192.0.2.7:8080",
      );
    }));
}
