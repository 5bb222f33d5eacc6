import assert from "node:assert/strict";
import { CircuitPoolDriver } from "../../../lib/node/circuit/circuit_pool_driver.ts";
import { OwnCircuit } from "../../../lib/node/circuit/own_circuit.ts";
import { decodeEstablishRendezvous } from "../../../lib/service/meeting/rendezvous.ts";
import type { CircuitWish } from "../../../lib/node/circuit/circuits.ts";
import { HttpClient } from "../../../lib/http/client.ts";
import { inAnonNet } from "../../embed/anonnet_world.ts";

/** Programs that want to be kept apart, all at once. */
const KEYS = 40;

/**
 * All circuits that callers are given while this is there, and the cookies that they
 * wait for a service under: none of them twice.
 */
class HandedOut implements Disposable {
  readonly purposes: CircuitWish["purpose"][] = [];
  readonly cookies = new Set<string>();
  readonly #bindings = new Set<string>();
  readonly #take = CircuitPoolDriver.prototype.take;
  readonly #ask = OwnCircuit.prototype.ask;

  constructor() {
    const { purposes, cookies } = this;
    const [take, ask, bindings] = [this.#take, this.#ask, this.#bindings];
    OwnCircuit.prototype.ask = async function (type, body, options) {
      if (type === "establish_rendezvous") {
        const cookie = decodeEstablishRendezvous(body).toHex();
        assert.ok(!cookies.has(cookie), "a cookie was used twice");
        cookies.add(cookie);
      }
      return await ask.call(this, type, body, options);
    };
    CircuitPoolDriver.prototype.take = async function (wish) {
      const circuit = await take.call(this, wish);
      const binding = circuit.binding.toHex();
      assert.ok(!bindings.has(binding), "a circuit was given out twice");
      bindings.add(binding);
      purposes.push(wish.purpose);
      return circuit;
    };
  }

  [Symbol.dispose](): void {
    CircuitPoolDriver.prototype.take = this.#take;
    OwnCircuit.prototype.ask = this.#ask;
  }
}

Deno.test("forty isolation keys at once share no circuit, no rendezvous and no session", () =>
  inAnonNet(async (net) => {
    const site = await net.site(() => new Response("hello"));
    const machine = net.world.machine();
    await using node = await machine.start({
      client: machine.client,
      bootstrap: net.relays.map(({ address }) => address),
    });
    const { client } = node;
    assert.ok(client !== undefined);
    const { gateway, visits } = client;
    const { signal } = new AbortController();
    using http = new HttpClient({ gateway, clock: net.world.clock, signal });
    const joined = () =>
      net.relays.reduce(
        (sum, { relay }) => sum + relay.circuits.stats.states.joined,
        0,
      );
    const before = joined();
    using handedOut = new HandedOut();
    const request = new Request(`http://${site.host}/`);
    const fetched = Array.from({ length: KEYS }, async (_, key) => {
      const response = await http.fetch(request, { isolation: `${key}` });
      return await response.text();
    });
    for (const text of await Promise.all(fetched)) assert.equal(text, "hello");
    assert.equal(visits.status.sessions, KEYS);
    // Where a visitor and the site have met, two circuits are one. (A slow meeting
    // is tried twice, under the same key.)
    assert.ok(joined() - before >= 2 * KEYS);
    const meetings = handedOut.purposes
      .filter((purpose) => purpose === "rendezvous");
    assert.ok(meetings.length >= 2 * KEYS);
    // Each visitor's circuit waits under a cookie; the site's own come to them.
    assert.ok(handedOut.cookies.size >= KEYS);
    // The same key is the same session again.
    await (await http.fetch(request, { isolation: "7" })).text();
    assert.equal(visits.status.sessions, KEYS);
  }));
