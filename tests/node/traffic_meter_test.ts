import assert from "node:assert/strict";
import { TrafficMeter } from "../../lib/node/traffic_meter.ts";

interface FakeLink {
  stats: { bytesIn: number; bytesOut: number };
}

function link(bytesIn: number, bytesOut: number): FakeLink {
  return { stats: { bytesIn, bytesOut } };
}

Deno.test("TrafficMeter counts all links of both roles, and never back", () => {
  const relayLink = link(10, 20);
  const relay = {
    links: { links: [relayLink] },
    circuits: { carried: { forwardBytes: 7, backwardBytes: 8 } },
  };
  const client: { links: { links: FakeLink[] } } = {
    links: { links: [link(1, 2)] },
  };
  const meter = new TrafficMeter({ relay, client });
  assert.deepEqual(meter.read(), {
    bytesIn: 11,
    bytesOut: 22,
    bytesForward: 7,
    bytesBackward: 8,
  });
  assert.deepEqual(meter.read(), {
    bytesIn: 11,
    bytesOut: 22,
    bytesForward: 7,
    bytesBackward: 8,
  });
  relayLink.stats = { bytesIn: 15, bytesOut: 20 };
  client.links.links = [];
  assert.deepEqual(meter.read(), {
    bytesIn: 16,
    bytesOut: 22,
    bytesForward: 7,
    bytesBackward: 8,
  });
  client.links.links = [link(4, 0)];
  assert.deepEqual(meter.read(), {
    bytesIn: 20,
    bytesOut: 22,
    bytesForward: 7,
    bytesBackward: 8,
  });
});

Deno.test("TrafficMeter counts links once that both roles share, and none before there are roles", () => {
  assert.deepEqual(new TrafficMeter({}).read(), {
    bytesIn: 0,
    bytesOut: 0,
    bytesForward: 0,
    bytesBackward: 0,
  });
  const circuits = { carried: { forwardBytes: 0, backwardBytes: 0 } };
  const links = { links: [link(5, 5)] };
  const meter = new TrafficMeter({
    relay: { links, circuits },
    client: { links },
  });
  assert.deepEqual(meter.read(), {
    bytesIn: 5,
    bytesOut: 5,
    bytesForward: 0,
    bytesBackward: 0,
  });
});
