/**
 * Who may import whom. Each folder of `lib/` has one responsibility, and imports
 * point left and up:
 *
 *     base ─ crypto ─┬─ wire ─ auth ─┬─ link                          pure
 *                    │               ├─ dht
 *                    │               ├─ path ─ pool
 *                    │               └─ circuit ─┬─ service
 *                    └─ session ─────────────────┘
 *     base ─ metrics
 *     transport   storage   http ─ proxy   control ─┬─ doctor        edges
 *                                                   └─ torcontrol
 *     http ─ share                                                    edges
 *     log ─ machine ─ node/… ─ node ─┬─ embed                         composition
 *                                    └─ sim ─ cli ─ main.ts
 *
 * `dht/records`, `dht/table`, `dht/lookup`, `service/meeting` and `sim/world` come
 * before the folders that they are in, `dht/join` and `service/delegation` after
 * theirs. The rooms of `node/` stand on each other in the order of their rows: link <
 * directory < circuit < session, relay < visit < host/roster < host <
 * services < torcontrol < node.
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
  "dht/records",
  "dht/table",
  "dht/lookup",
  "dht",
  "dht/join",
  "path",
  "pool",
  "circuit",
  "session",
  "service/meeting",
  "service",
  "service/delegation",
  "metrics",
] as const;

const UP_TO_AUTH = ["base", "crypto", "wire", "auth"] as const;

/**
 * For each folder of `lib/`, the other folders it may import. Each entry is needed
 * by some import: a row shows what is, so that a reader can trust it.
 */
export const IMPORT_TABLE: Readonly<Record<string, readonly string[]>> = {
  base: [],
  crypto: ["base"],
  wire: ["base"],
  auth: ["base", "crypto", "wire"],
  link: UP_TO_AUTH,
  "dht/records": UP_TO_AUTH,
  "dht/table": ["base", "auth", "dht/records"],
  "dht/lookup": ["auth", "dht/records", "dht/table"],
  dht: [...UP_TO_AUTH, "dht/records", "dht/table", "dht/lookup"],
  "dht/join": ["base", "crypto", "auth", "dht/table", "dht"],
  path: UP_TO_AUTH,
  pool: ["base", "auth", "path"],
  circuit: UP_TO_AUTH,
  session: ["base", "crypto"],
  "service/meeting": [...UP_TO_AUTH, "circuit", "session"],
  service: [...UP_TO_AUTH, "session", "service/meeting"],
  // Rosters are records that are signed ahead of time.
  "service/delegation": [...UP_TO_AUTH, "dht/records", "service"],

  transport: ["base", "crypto", "auth"], // certificates need keys
  storage: ["base", "crypto"],
  http: ["base"],
  proxy: ["base", "auth", "http"],
  "proxy/socks": ["base", "auth", "http", "proxy"],
  control: ["base", "auth"],
  torcontrol: ["base", "auth", "crypto", "service", "control"],

  metrics: ["base"],

  doctor: ["base", "storage", "control"], // findings alone; who looks is elsewhere

  log: ["base", "auth"],
  machine: ["base", "crypto", "auth", "transport", "storage", "log"],

  "dashboard/page": [], // what browsers load
  dashboard: ["base", "auth", "control", "doctor", "log", "dashboard/page"],

  "node/link": ["base", "crypto", "wire", "auth", "link", "transport", "log"],
  "node/directory": [
    "base",
    "crypto",
    "wire",
    "auth",
    "dht/records",
    "dht",
    "dht/join",
    "storage",
    "log",
    "machine",
    "node/link",
  ],
  "node/circuit": [
    "base",
    "crypto",
    "auth",
    "path",
    "pool",
    "circuit",
    "transport",
    "storage",
    "log",
    "machine",
    "node/link",
    "node/directory",
  ],
  "node/session": [
    "base",
    "crypto",
    "auth",
    "session",
    "log",
    "node/directory",
    "node/circuit",
  ],
  "node/relay": [
    "base",
    "crypto",
    "wire",
    "auth",
    "dht/records",
    "circuit",
    "service/meeting",
    "transport",
    "storage",
    "log",
    "machine",
    "node/directory",
    "node/circuit",
  ],
  "node/visit": [
    "base",
    "crypto",
    "auth",
    "path",
    "dht/records",
    "session",
    "service/meeting",
    "service",
    "service/delegation",
    "http",
    "log",
    "node/circuit",
    "node/session",
  ],
  "node/host/roster": [
    "base",
    "wire",
    "service",
    "service/delegation",
    "storage",
    "log",
    "machine",
    "node/circuit",
    "node/session",
    "node/visit",
  ],
  "node/host": [
    "base",
    "crypto",
    "wire",
    "auth",
    "path",
    "circuit",
    "session",
    "service/meeting",
    "service",
    "service/delegation",
    "storage",
    "log",
    "machine",
    "node/circuit",
    "node/session",
    "node/visit",
    "node/host/roster",
  ],
  "node/services": [
    "base",
    "crypto",
    "wire",
    "service",
    "storage",
    "control",
    "log",
    "node/host",
  ],
  "node/torcontrol": [
    "base",
    "crypto",
    "auth",
    "pool",
    "service",
    "http",
    "torcontrol",
    "log",
    "node/circuit",
    "node/host",
    "node/services",
  ],
  "node": [
    "base",
    "crypto",
    "auth",
    "link",
    "dht/records",
    "session",
    "service",
    "storage",
    "http",
    "proxy",
    "proxy/socks",
    "control",
    "torcontrol",
    "metrics",
    "doctor",
    "log",
    "machine",
    "dashboard",
    "node/link",
    "node/directory",
    "node/circuit",
    "node/session",
    "node/relay",
    "node/visit",
    "node/host",
    "node/services",
    "node/torcontrol",
  ],

  share: ["base", "http", "storage", "wire"],
  "share/box": ["base", "http", "storage", "share"],
  "share/download": ["base", "storage", "share"],

  "embed": ["base", "auth", "http", "log", "machine", "node/host", "node"],
  "sim/world": [
    "base",
    "crypto",
    "auth",
    "dht/records",
    "dht",
    "transport",
    "storage",
    "log",
    "machine",
    "node/directory",
    "node",
  ],
  "sim": [
    "base",
    "crypto",
    "auth",
    "dht/records",
    "dht/table",
    "dht",
    "dht/join",
    "path",
    "sim/world",
  ],
  "cli/flags": [
    "base",
    "crypto", // invites are checked with the words
    "auth",
    "circuit",
    "storage",
    "control",
    "torcontrol",
    "log",
    "node/relay",
    "node/host",
    "node",
  ],
  "cli/process": [
    "base",
    "auth",
    "control",
    "log",
    "machine",
    "node",
    "cli/flags",
  ],
  "cli/workers": [
    "base",
    "auth",
    "storage",
    "log",
    "machine",
    "node/directory",
    "node/relay",
    "node",
    "cli/flags",
    "cli/process",
  ],
  "cli/ask": ["base", "storage", "control", "node/host", "node", "cli/flags"],
  "cli/doctor": [
    "auth",
    "base",
    "storage",
    "control",
    "doctor",
    "cli/flags",
    "cli/process",
    "cli/ask",
  ],
  "cli/network": [
    "base",
    "auth",
    "storage",
    "control",
    "log",
    "machine",
    "node/directory",
    "cli/flags",
    "cli/ask",
  ],
  "cli/demo": [
    "base",
    "auth",
    "http",
    "log",
    "machine",
    "node/host",
    "node",
    "cli/flags",
    "cli/process",
  ],
  "cli/share": [
    "base",
    "control",
    "http",
    "log",
    "machine",
    "node/host",
    "node",
    "share",
    "share/box",
    "share/download",
    "storage",
    "cli/flags",
    "cli/process",
    "cli/ask",
    "cli/network",
  ],
  "cli": [
    "base",
    "auth",
    "service",
    "service/delegation",
    "storage",
    "control",
    "log",
    "machine",
    "dashboard", // a simulation that is watched
    "node/relay",
    "node/host/roster",
    "node/host",
    "sim/world",
    "sim",
    "cli/flags",
    "cli/process",
    "cli/workers",
    "cli/ask",
    "cli/doctor",
    "cli/network",
    "cli/demo",
    "cli/share",
  ],
};

/** What the two entry points may import: folders, or files by their path. */
export const ENTRY_TABLE: Readonly<Record<string, readonly string[]>> = {
  "main.ts": ["cli/process", "cli"],
  "lib/mod.ts": ["base", "auth", "http", "log", "embed"],
};

/** For each file outside `lib/` that code may import, the folders that do. */
export const FILE_TABLE: Readonly<Record<string, readonly string[]>> = {
  "deno.json": ["cli/process"], // the version's one home
};

/** For each npm package, the folders that may import it. */
export const PACKAGE_TABLE: Readonly<Record<string, readonly string[]>> = {
  "@fastify/busboy": ["share/box"],
  "@logtape/logtape": ["log"],
  "@noble/ciphers": ["crypto"],
  "@noble/curves": ["crypto"],
  "@noble/hashes": ["crypto"],
  "@noble/post-quantum": ["crypto"],
  "asn1js": ["transport"],
  "axe-core": [], // tests alone
  "cborg": ["wire"],
  "fast-check": [], // tests alone
  "smol-toml": ["cli/flags"],
  "typescript": [], // tools alone
  "uplot": ["dashboard"],
  "uqr": ["dashboard", "cli/network"],
};

/** Pure files that meet the platform on purpose, and the built-in modules each may import. */
export const PURE_BUILTINS: Readonly<Record<string, readonly string[]>> = {
  "lib/crypto/native.ts": ["node:crypto", "node:buffer"],
};
