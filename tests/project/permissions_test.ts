import assert from "node:assert/strict";
import { PROJECT } from "../../tools/project_files.ts";

/** Which of the descriptors a permission set of deno.json grants; without a prompt, all others are refused. */
async function grants(
  set: string,
  descriptors: readonly Deno.PermissionDescriptor[],
): Promise<boolean[]> {
  const program = await Deno.makeTempFile({ suffix: ".ts" });
  try {
    await Deno.writeTextFile(
      program,
      `const wanted = ${JSON.stringify(descriptors)};
       const states = wanted.map((d) => Deno.permissions.querySync(d).state);
       console.log(JSON.stringify(states));`,
    );
    const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
      args: [
        "run",
        "--no-prompt",
        "--config",
        "deno.json",
        `--permission-set=${set}`,
        program,
      ],
      cwd: PROJECT,
      stdin: "null",
    }).output();
    assert.equal(code, 0, new TextDecoder().decode(stderr));
    const states: Deno.PermissionState[] = JSON.parse(
      new TextDecoder().decode(stdout),
    );
    return states.map((state) => state === "granted");
  } finally {
    await Deno.remove(program);
  }
}

const NEVER: readonly Deno.PermissionDescriptor[] = [
  { name: "env" },
  { name: "env", variable: "HOME" },
  { name: "run" },
  { name: "ffi" },
  { name: "sys" },
  { name: "import", host: "jsr.io" },
  { name: "write", path: "lib/mod.ts" },
  { name: "write", path: "main.ts" },
  { name: "write", path: "deno.json" },
];

Deno.test("-P reaches peers and any state directory, and nothing else", async () => {
  const granted: Deno.PermissionDescriptor[] = [
    { name: "net", host: "192.0.2.7:4001" },
    { name: "net", host: "[2001:db8::7]:4001" },
    { name: "net", host: "[::]:0" },
    { name: "net", host: "localhost:8080" },
    { name: "read", path: "relay-a" },
    { name: "write", path: "relay-a" },
    { name: "write", path: "../elsewhere" },
  ];
  const found = await grants("default", [...granted, ...NEVER]);
  const expected = [
    ...granted.map(() => true),
    ...NEVER.map(() => false),
  ];
  assert.deepEqual(found, expected);
});

Deno.test("-P=ipv4 reaches IPv4 literals, and can ask no resolver", async () => {
  const granted: Deno.PermissionDescriptor[] = [
    { name: "net", host: "192.0.2.7:4001" },
    { name: "net", host: "127.0.0.1:0" },
    { name: "net", host: "[::]:0" },
    { name: "write", path: "relay-a" },
  ];
  const denied: Deno.PermissionDescriptor[] = [
    { name: "net" },
    { name: "net", host: "localhost:8080" },
    { name: "net", host: "example.org" },
    { name: "net", host: "[2001:db8::7]:4001" },
    ...NEVER,
  ];
  const found = await grants("ipv4", [...granted, ...denied]);
  const expected = [
    ...granted.map(() => true),
    ...denied.map(() => false),
  ];
  assert.deepEqual(found, expected);
});
