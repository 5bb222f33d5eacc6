/**
 * Who may import whom. Each folder of `lib/` has one responsibility, and imports
 * point left and up:
 *
 *     base ─ crypto ─ wire ─ auth ─┬─ circuit ─ session ─ service     pure
 *                                  ├─ link
 *                                  ├─ dht
 *                                  └─ path
 *     transport   storage   http ─ proxy   control                    edges
 *     log ─ machine ─ node/… ─ node ─┬─ embed                         composition
 *                                    └─ sim ─ cli ─ main.ts
 *
 * The rooms of `node/` stand on each other in the order of their rows: link <
 * directory < circuit < session, relay < visit < host < node.
 *
 * `tests/project/imports_test.ts` holds the code against these tables, so a new
 * arrow is a decision and never an accident: a change that needs one changes a
 * row here, in a commit of its own that says why.
 *
 * @module
 */

/** Folders whose code takes time, bytes and randomness as arguments. */
export const PURE_FOLDERS = [
  "base",
  "crypto",
  "wire",
  "auth",
  "link",
  "dht",
  "path",
  "circuit",
  "session",
  "service",
] as const;

const EDGE_FOLDERS = [
  "transport",
  "storage",
  "http",
  "proxy",
  "control",
] as const;

const UP_TO_AUTH = ["base", "crypto", "wire", "auth"] as const;
const UP_TO_CIRCUIT = [...UP_TO_AUTH, "circuit"] as const;
const ALL_BELOW_NODE = [
  ...PURE_FOLDERS,
  ...EDGE_FOLDERS,
  "log",
  "machine",
] as const;
/** What every driver stands on. */
const DRIVER = [...UP_TO_AUTH, "transport", "storage", "log", "machine"];
/** The rooms of `node/`, each of which may import those before it. */
const ROOMS = [
  "node/link",
  "node/directory",
  "node/circuit",
  "node/session",
  "node/relay",
  "node/visit",
  "node/host",
] as const;

/** For each folder of `lib/`, the other folders it may import. */
export const IMPORT_TABLE: Readonly<Record<string, readonly string[]>> = {
  base: [],
  crypto: ["base"],
  wire: ["base"],
  auth: ["base", "crypto", "wire"],
  link: UP_TO_AUTH,
  dht: UP_TO_AUTH,
  path: UP_TO_AUTH,
  circuit: UP_TO_AUTH,
  session: UP_TO_CIRCUIT,
  service: [...UP_TO_CIRCUIT, "session"],

  transport: UP_TO_AUTH, // certificates need keys and bytes
  storage: UP_TO_AUTH,
  http: ["base", "auth"],
  proxy: ["base", "auth", "session", "http"],
  control: ["base", "auth"],

  log: ["base", "auth"],
  machine: [...UP_TO_AUTH, "transport", "storage", "log"],

  "node/link": [...DRIVER, "link"],
  "node/directory": [...DRIVER, "dht", "node/link"],
  "node/circuit": [
    ...DRIVER,
    "circuit",
    "path",
    "node/link",
    "node/directory",
  ],
  "node/session": [...DRIVER, "session", "service", "node/circuit"],
  "node/relay": [
    ...DRIVER,
    "circuit",
    "dht",
    "service",
    "node/directory",
    "node/circuit",
  ],
  "node/visit": [
    ...DRIVER,
    "dht",
    "session",
    "service",
    "http",
    "proxy",
    "node/circuit",
    "node/session",
  ],
  "node/host": [
    ...DRIVER,
    "circuit",
    "session",
    "service",
    "node/circuit",
    "node/session",
    "node/visit",
  ],
  node: [...ALL_BELOW_NODE, ...ROOMS],

  embed: [...UP_TO_AUTH, "http", "log", "machine", "node/host", "node"],
  sim: [...ALL_BELOW_NODE, ...ROOMS, "node"],
  cli: [
    "base",
    "auth",
    "service",
    "storage",
    "http",
    "control",
    "log",
    "machine",
    "node/host",
    "node",
    "sim",
  ],
};

/** What the two entry points may import: folders, or files by their path. */
export const ENTRY_TABLE: Readonly<Record<string, readonly string[]>> = {
  "main.ts": ["cli"],
  "lib/mod.ts": ["base", "auth", "http", "log", "embed"],
};

/** For each file outside `lib/` that code may import, the folders that do. */
export const FILE_TABLE: Readonly<Record<string, readonly string[]>> = {
  "deno.json": ["cli"], // the version's one home
};

/** For each npm package, the folders that may import it. */
export const PACKAGE_TABLE: Readonly<Record<string, readonly string[]>> = {
  "@logtape/logtape": ["log", "cli"],
  "@noble/ciphers": ["crypto"],
  "@noble/curves": ["crypto"],
  "@noble/hashes": ["crypto"],
  "@noble/post-quantum": ["crypto"],
  "asn1js": ["transport"],
  "cborg": ["wire"],
  "fast-check": [], // tests alone
  "smol-toml": ["cli"],
};

/** Pure files that meet the platform on purpose, and the built-in modules each may import. */
export const PURE_BUILTINS: Readonly<Record<string, readonly string[]>> = {
  "lib/crypto/native.ts": ["node:crypto", "node:buffer"],
};
