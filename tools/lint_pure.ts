/**
 * Lint rules of our own. The first is the reason for the file: protocol logic
 * runs unchanged in the simulator, so time, randomness and input come in as
 * arguments, and nothing in the pure folders may take them from the platform.
 *
 *     anonnet/pure           no clock, timer, randomness, console or platform
 *                            in the pure folders
 *     anonnet/no-sleep       no test waits by the wall clock
 *     anonnet/no-export-all  no barrels
 *
 * @see docs/decisions/0001-sans-io-core.md
 * @module
 */
import { PURE_BUILTINS, PURE_FOLDERS } from "./import_table.ts";

/** Any node; Deno's own union leaves one out. */
type Node = Deno.lint.Node | Deno.lint.TSParameterProperty;

/** Globals that a pure file must not touch, and what to do instead. */
const FORBIDDEN: ReadonlyMap<string, string> = new Map([
  ...each(["performance", "Temporal"], "take `nowMs` as an argument"),
  ...each(
    [
      "setTimeout",
      "setInterval",
      "setImmediate",
      "clearTimeout",
      "clearInterval",
      "clearImmediate",
      "queueMicrotask",
    ],
    "return a `deadlineMs`; the driver owns the one timer",
  ),
  ...each(["crypto"], "take a `Random` or a `CryptoSuite` as an argument"),
  ...each(["console"], "return what happened; the edge decides what to log"),
  ...each(
    ["Deno", "process", "navigator", "location", "globalThis", "self"],
    "leave the platform to transport, storage, node and cli",
  ),
  ...each(
    ["fetch", "WebSocket", "EventSource", "Worker", "BroadcastChannel"],
    "return an action; a driver carries it out",
  ),
  ...each(
    ["localStorage", "sessionStorage", "caches"],
    "keep state in memory; storage owns the files",
  ),
  ...each(["alert", "confirm", "prompt"], "leave the terminal to cli"),
]);

/** Globals of which some members are impure: those, and what to do instead. */
const PARTLY_FORBIDDEN: ReadonlyMap<
  string,
  { readonly members: readonly string[]; readonly hint: string }
> = new Map([
  ["Math", { members: ["random"], hint: "take a `Random` as an argument" }],
  ["Date", { members: ["now"], hint: "take `unixMs` as an argument" }],
  ["AbortSignal", { members: ["timeout"], hint: "return a `deadlineMs`" }],
]);

const SUSPECTS = new Set([...FORBIDDEN.keys(), ...PARTLY_FORBIDDEN.keys()]);

const WHY = "the simulator replays this code from a seed and a virtual clock";

const pure: Deno.lint.Rule = {
  create(context) {
    const file = projectPath(context.filename);
    if (!PURE_FOLDERS.some((name) => file.startsWith(`lib/${name}/`))) {
      return {};
    }
    const reported = new Set<number>();
    const report = (node: Deno.lint.Node, what: string, hint: string) => {
      // `{ fetch }` is visited as key and as value.
      if (reported.has(node.range[0])) return;
      reported.add(node.range[0]);
      const message = `\`${what}\` in a pure folder: ${WHY}`;
      context.report({ node, message, hint });
    };
    const checkModule = (node: Deno.lint.Node, specifier: string) => {
      if (!specifier.startsWith("node:")) return;
      if (PURE_BUILTINS[file]?.includes(specifier)) return;
      report(node, specifier, "leave the platform to the edges");
    };
    return {
      Identifier(node) {
        if (!SUSPECTS.has(node.name) || !isReference(node)) return;
        const scopes = context.sourceCode.getAncestors(node);
        if (scopes.some((scope) => declares(scope, node.name))) return;
        const [name = node.name, member] = globalPath(node);
        const full = member === undefined ? name : `${name}.${member}`;
        const forbidden = FORBIDDEN.get(name);
        if (forbidden !== undefined) return report(node, full, forbidden);
        const partly = PARTLY_FORBIDDEN.get(name);
        if (partly === undefined) return;
        const harmless = member === undefined
          ? isHarmlessAlone(node)
          : !partly.members.includes(member);
        if (!harmless) report(node, full, partly.hint);
      },
      ImportDeclaration(node) {
        checkModule(node, node.source.value);
      },
      ImportExpression(node) {
        report(node, "import()", "import at the top of the file");
      },
    };
  },
};

const noSleep: Deno.lint.Rule = {
  create(context) {
    if (!context.filename.endsWith("_test.ts")) return {};
    const message = "A test that waits by the wall clock is slow and flaky";
    const hint = "pass the time in, or await the event itself";
    return {
      Identifier(node) {
        if (node.name !== "setTimeout" && node.name !== "setInterval") return;
        if (isReference(node)) context.report({ node, message, hint });
      },
      ImportDeclaration(node) {
        if (!/^node:timers(\/|$)/.test(node.source.value)) return;
        context.report({ node, message, hint });
      },
    };
  },
};

const noExportAll: Deno.lint.Rule = {
  create(context) {
    return {
      ExportAllDeclaration(node) {
        context.report({
          node,
          message: "`export *` hides cycles, and where things live",
          hint: "import the file you mean; lib/mod.ts lists name by name",
        });
      },
    };
  },
};

/** The plugin, as `deno.json` loads it. */
const plugin: Deno.lint.Plugin = {
  name: "anonnet",
  rules: { "pure": pure, "no-sleep": noSleep, "no-export-all": noExportAll },
};
export default plugin;

function each(names: readonly string[], hint: string): [string, string][] {
  return names.map((name) => [name, hint]);
}

/** The path below the project's top folder, with forward slashes. */
function projectPath(filename: string): string {
  const file = filename.replaceAll("\\", "/");
  const start = file.lastIndexOf("/lib/");
  return start < 0 ? file : file.slice(start + 1);
}

function isSame(a: Node | null | undefined, b: Node): boolean {
  return a?.type === b.type && a.range[0] === b.range[0] &&
    a.range[1] === b.range[1];
}

/** Type-level parents whose child is still an expression that runs. */
const ERASED_WRAPPERS: ReadonlySet<string> = new Set([
  "TSAsExpression",
  "TSSatisfiesExpression",
  "TSNonNullExpression",
  "TSTypeAssertion",
  "TSInstantiationExpression",
]);

/** Whether a name stands for a value here, and is no property, key or type. */
function isReference(node: Deno.lint.Identifier): boolean {
  const parent: Node = node.parent;
  switch (parent.type) {
    case "MemberExpression":
      return parent.computed || !isSame(parent.property, node);
    case "Property":
      return parent.computed || parent.shorthand || !isSame(parent.key, node);
    case "MethodDefinition":
    case "PropertyDefinition":
      return parent.computed || !isSame(parent.key, node);
    case "ImportSpecifier":
    case "ImportDefaultSpecifier":
    case "ImportNamespaceSpecifier":
    case "ExportSpecifier":
    case "LabeledStatement":
    case "BreakStatement":
    case "ContinueStatement":
      return false;
    case "TSQualifiedName": // `Deno.Conn`: a type of the platform's
      return node.name === "Deno" && isSame(parent.left, node);
    default:
      return !parent.type.startsWith("TS") || ERASED_WRAPPERS.has(parent.type);
  }
}

/**
 * The names from a global on: `["crypto", "subtle"]` of `crypto.subtle.sign`, of
 * `crypto["subtle"]` and of `globalThis.crypto.subtle`; at most two.
 */
function globalPath(node: Deno.lint.Identifier): string[] {
  const names = [node.name];
  let child: Node = node;
  while (names.length < 3 && "parent" in child) {
    const member = memberOf(child, child.parent);
    if (member === undefined) break;
    names.push(member);
    child = child.parent;
  }
  const [first] = names;
  const explicit = first === "globalThis" || first === "self";
  return explicit && names.length > 1 ? names.slice(1) : names.slice(0, 2);
}

/** `member` of `node.member` or `node["member"]`. */
function memberOf(node: Node, parent: Node): string | undefined {
  if (parent.type === "TSQualifiedName") return parent.right.name;
  if (parent.type !== "MemberExpression" || !isSame(parent.object, node)) {
    return undefined;
  }
  const { property } = parent;
  if (!parent.computed) {
    return property.type === "Identifier" ? property.name : undefined;
  }
  return property.type === "Literal" && typeof property.value === "string"
    ? property.value
    : undefined;
}

/** `new Date(unixMs)`, `x instanceof Date`: no clock is read. */
function isHarmlessAlone(node: Deno.lint.Identifier): boolean {
  const parent: Node = node.parent;
  if (parent.type === "NewExpression") {
    return isSame(parent.callee, node) && parent.arguments.length > 0;
  }
  return parent.type === "BinaryExpression" && parent.operator === "instanceof";
}

/** Whether a scope declares `name`, so that the global is not meant. */
function declares(scope: Node, name: string): boolean {
  switch (scope.type) {
    case "Program":
    case "BlockStatement":
      return scope.body.some((statement) => isDeclaredBy(statement, name));
    case "FunctionDeclaration":
    case "FunctionExpression":
    case "ArrowFunctionExpression":
      return scope.params.some((param) => binds(param, name));
    case "ForStatement":
      return scope.init !== null && isDeclaredBy(scope.init, name);
    case "ForOfStatement":
    case "ForInStatement":
      return isDeclaredBy(scope.left, name);
    case "CatchClause":
      return scope.param !== null && binds(scope.param, name);
    default:
      return false;
  }
}

function isDeclaredBy(statement: Node, name: string): boolean {
  switch (statement.type) {
    case "VariableDeclaration":
      return statement.declarations.some(({ id }) => binds(id, name));
    case "FunctionDeclaration":
    case "ClassDeclaration":
      return statement.id?.name === name;
    case "ImportDeclaration":
      return statement.specifiers.some(({ local }) => local.name === name);
    case "ExportNamedDeclaration":
      return statement.declaration !== null &&
        isDeclaredBy(statement.declaration, name);
    default:
      return false;
  }
}

/** Whether a pattern binds `name`. */
function binds(pattern: Node | null, name: string): boolean {
  switch (pattern?.type) {
    case "Identifier":
      return pattern.name === name;
    case "AssignmentPattern":
      return binds(pattern.left, name);
    case "RestElement":
      return binds(pattern.argument, name);
    case "ArrayPattern":
      return pattern.elements.some((element) => binds(element, name));
    case "ObjectPattern":
      return pattern.properties.some((property) =>
        binds(property.type === "Property" ? property.value : property, name)
      );
    default:
      return false;
  }
}
