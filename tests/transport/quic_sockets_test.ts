import assert from "node:assert/strict";
import { errorCode } from "../../lib/base/errors.ts";
import { bindSockets } from "../../lib/transport/_quic_sockets.ts";

const ANY = { host: "::", port: 4001 };

/** A machine that binds, or throws what `refuse` says; what it was asked for. */
function machine(
  refuse: (hostname: string) => Error | undefined = () => undefined,
) {
  const asked: string[] = [];
  const closed: string[] = [];
  const bind = ({ hostname = "", port = 0 }: Deno.QuicEndpointOptions) => {
    asked.push(`${hostname} ${port}`);
    const error = refuse(hostname);
    if (error !== undefined) throw error;
    const addr = { transport: "udp", hostname, port: port || 50_000 };
    const close = () => void closed.push(hostname);
    return { addr, close } as unknown as Deno.QuicEndpoint;
  };
  return { asked, closed, bind };
}

Deno.test("bindSockets() binds one socket to one address", () => {
  for (const os of ["linux", "windows"] as const) {
    const { asked, bind } = machine();
    const sockets = bindSockets({ host: "192.0.2.7", port: 1 }, { bind, os });
    assert.deepEqual(asked, ["192.0.2.7 1"]);
    assert.equal(sockets.ipv4, undefined);
  }
});

Deno.test("bindSockets() takes both families with one socket where it can", () => {
  const { asked, bind } = machine();
  assert.equal(bindSockets(ANY, { bind, os: "linux" }).ipv4, undefined);
  assert.deepEqual(asked, [":: 4001"]);
});

Deno.test("bindSockets() takes two sockets of one port on Windows", () => {
  const { asked, bind } = machine();
  const port0 = { host: "::", port: 0 };
  const sockets = bindSockets(port0, { bind, os: "windows" });
  assert.deepEqual(asked, [":: 0", "0.0.0.0 50000"]);
  assert.equal(sockets.first.addr.hostname, "::");
  assert.equal(sockets.ipv4?.addr.port, 50_000);
});

Deno.test("bindSockets() is content with one on Windows if that takes both", () => {
  const { bind } = machine((hostname) =>
    hostname === "0.0.0.0" ? new Deno.errors.AddrInUse("x") : undefined
  );
  const sockets = bindSockets(ANY, { bind, os: "windows" });
  assert.equal(sockets.ipv4, undefined);
});

Deno.test("bindSockets() lets go of the first socket if the second fails", () => {
  const { bind, closed } = machine((hostname) =>
    hostname === "0.0.0.0" ? new Deno.errors.NotCapable("x") : undefined
  );
  assert.throws(
    () => bindSockets(ANY, { bind, os: "windows" }),
    (error) => errorCode(error) === "transport.permission",
  );
  assert.deepEqual(closed, ["::"]);
});

Deno.test("bindSockets() falls back to IPv4 on a machine without IPv6", () => {
  for (const os of ["linux", "windows"] as const) {
    const { asked, bind } = machine((hostname) =>
      hostname === "::" ? new Error("Address family not supported") : undefined
    );
    const { first, ipv4 } = bindSockets(ANY, { bind, os });
    assert.equal(first.addr.hostname, "0.0.0.0");
    assert.equal(ipv4, undefined);
    assert.deepEqual(asked, [":: 4001", "0.0.0.0 4001"]);
  }
});

Deno.test("bindSockets() does not fall back where the port or permission lacks", () => {
  for (
    const [error, code] of [
      [new Deno.errors.AddrInUse("x"), "transport.port_in_use"],
      [new Deno.errors.NotCapable("x"), "transport.permission"],
      [new Deno.errors.PermissionDenied("x"), "transport.permission"],
    ] as const
  ) {
    const { asked, bind } = machine(() => error);
    assert.throws(
      () => bindSockets(ANY, { bind, os: "linux" }),
      (thrown) => errorCode(thrown) === code,
    );
    assert.deepEqual(asked, [":: 4001"]);
  }
});

Deno.test("bindSockets() passes on the last error when neither family works", () => {
  const { bind } = machine(() => new Error("no network at all"));
  assert.throws(
    () => bindSockets(ANY, { bind, os: "linux" }),
    (error) => errorCode(error) === "transport.listen",
  );
});
