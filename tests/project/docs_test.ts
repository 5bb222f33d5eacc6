import assert from "node:assert/strict";
import { dirname, join } from "node:path/posix";
import { IMPORT_TABLE } from "../../tools/import_table.ts";
import { listFiles, readProjectFile } from "../../tools/project_files.ts";

const FILES = listFiles();
const TEXT = FILES.filter((file) =>
  /\.(ts|md|json|yml|toml|sh)$|^\.ci\/|^\.[a-z]+$/.test(file) &&
  !file.startsWith("tests/vectors/")
);
const MARKDOWN = TEXT.filter((file) => file.endsWith(".md"));

/** Names of the sections of docs/protocol.md by their numbers, in order. */
function protocolSections(markdown: string): Map<string, string> {
  return new Map(
    [...markdown.matchAll(/^#{2,4} ((?:\d+|A)(?:\.\d+)*)\.? (.+)$/gm)]
      .map(([, number = "", name = ""]) => [number, name]),
  );
}

/** Sections cited as in `protocol §5.1 "Cells"`, also in rows such as `protocol §5.1 "Cells" and §7 "Services"`. */
function citedSections(text: string): { number: string; name: string }[] {
  const joined = text.replace(/\n[ \t]*(\*|\/\/)?[ \t]*/g, " ");
  const one = /§((?:\d+|A)(?:\.\d+)*)(?: \\?"([^"\\]*)\\?")?/;
  const between = /(?:,? and |, | to )/;
  const row = new RegExp(
    `protocol (${one.source}(?:${between.source}${one.source})*)`,
    "gi",
  );
  return [...joined.matchAll(row)].flatMap(([, cited = ""]) =>
    [...cited.matchAll(new RegExp(one, "g"))].map((
      [, number = "", name = ""],
    ) => ({ number, name }))
  );
}

/** Anchors of a page's headings, as GitHub makes them. */
function anchors(markdown: string): string[] {
  return [...withoutCode(markdown).matchAll(/^#{1,6} (.+)$/gm)].map((
    [, title = ""],
  ) =>
    title.toLowerCase().replace(/[^\p{L}\p{N} _-]/gu, "").replaceAll(" ", "-")
  );
}

function withoutCode(markdown: string): string {
  return markdown.replace(/^ *```[\s\S]*?^ *```/gm, "").replace(
    /`[^`\n]*`/g,
    "",
  );
}

/** Links of a page that do not leave the project, with what they lead to. */
function brokenLinks(file: string, markdown: string): string[] {
  const broken: string[] = [];
  const links = withoutCode(markdown).matchAll(
    /\]\(([^)\s]+)\)|^\[[^\]]+\]: (\S+)$/gm,
  );
  for (const [, inline, reference] of links) {
    const link = inline ?? reference ?? "";
    if (/^(https?|mailto):/.test(link)) continue;
    const [path = "", anchor] = link.split("#");
    const target = path === "" ? file : join(dirname(file), path);
    const isFolder = FILES.some((known) =>
      known.startsWith(`${target.replace(/\/$/, "")}/`)
    );
    if (!isFolder && !FILES.includes(target)) {
      broken.push(`${file}: ${link}`);
    } else if (
      anchor !== undefined &&
      !anchors(readProjectFile(target)).includes(anchor)
    ) broken.push(`${file}: ${link}`);
  }
  return broken;
}

Deno.test("citedSections() reads single tags, rows and tags at the end of a sentence", () => {
  const create = { number: "5.2", name: "Create" };
  const services = { number: "7", name: "Services" };
  assert.deepEqual(citedSections('@see protocol §5.2 "Create"'), [create]);
  assert.deepEqual(citedSections('as in protocol §5.2 "Create".'), [create]);
  assert.deepEqual(citedSections('"as protocol §5.2 \\"Create\\" has"'), [
    create,
  ]);
  for (
    const between of [", ", " and ", ", and ", " to ", ",\n * ", " and\n// "]
  ) {
    const row = `protocol §5.2 "Create"${between}§7 "Services"`;
    assert.deepEqual(citedSections(row), [create, services], between);
  }
  assert.deepEqual(citedSections(' * of the protocol\n * §7 "Services", or'), [
    services,
  ]);
  assert.deepEqual(citedSections("protocol §7, RFC 9000 §17.2"), [
    { number: "7", name: "" },
  ]);
});

Deno.test("docs/protocol.md numbers its sections in order, none twice", () => {
  const sections = [
    ...readProjectFile("docs/protocol.md").matchAll(
      /^#{2,4} (\d[\d.]*?)\.? /gm,
    ),
  ].map(([, number = ""]) => number);
  let before: number[] = [];
  assert.ok(sections.length > 40, "the sections were read");
  for (const section of sections) {
    const numbers = section.split(".").map(Number);
    const depth = numbers.length - 1;
    const last = before[depth] ?? (depth === 0 ? numbers[0] === 0 ? -1 : 0 : 0);
    assert.deepEqual(
      numbers,
      [...before.slice(0, depth), last + 1],
      `§${section} stands after §${before.join(".")}`,
    );
    before = numbers;
  }
});

Deno.test("every protocol section that the project cites has that number and that name", () => {
  const sections = protocolSections(readProjectFile("docs/protocol.md"));
  let cited = 0;
  const stale = TEXT.filter((file) => file !== "tests/project/docs_test.ts")
    .flatMap((file) =>
      citedSections(readProjectFile(file))
        .filter(({ number, name }) => {
          cited++;
          return sections.get(number)?.replaceAll("`", "") !== name;
        })
        .map(({ number, name }) =>
          `${file} cites protocol §${number} "${name}", which is "${
            sections.get(number) ?? "not there"
          }"`
        )
    );
  assert.deepEqual(stale, []);
  assert.ok(cited > 200, "the citations were read");
});

Deno.test("docs/protocol.md refers to sections that it has", () => {
  const page = readProjectFile("docs/protocol.md");
  const sections = protocolSections(page);
  const own = page.replace(
    /(?:RFC|FIPS) \d+,?\s§[\d.]+(?:(?:,| and)\s§[\d.]+)*/g,
    "",
  );
  const found = [...own.matchAll(/§((?:\d+|A)(?:\.\d+)*)/g)]
    .map(([, number = ""]) => number);
  assert.ok(found.length > 50, "the references were read");
  assert.deepEqual(found.filter((number) => !sections.has(number)), []);
});

Deno.test("no file of lib cites a section without saying of what", () => {
  const bare = FILES.filter((file) => /^lib\/.*\.ts$/.test(file))
    .filter((file) => !readProjectFile(file).includes("RFC"))
    .filter((file) => /\(§\d/.test(readProjectFile(file)));
  assert.deepEqual(bare, []);
});

Deno.test("brokenLinks() finds files and headings that are not there", () => {
  for (
    const link of ["nowhere.md", "../README.md", "docs/protocol.md#not-there"]
  ) {
    const found = brokenLinks("README.md", `See [this](${link}).`);
    assert.deepEqual(found, [`README.md: ${link}`]);
  }
  assert.equal(brokenLinks("README.md", "[a]: docs/nowhere.md").length, 1);
  const whole =
    "[a](docs/protocol.md#5-circuits) [b](lib/) [c](https://example.org/)\n`[d](nowhere)`";
  assert.deepEqual(brokenLinks("README.md", whole), []);
});

Deno.test("relative links in the papers lead somewhere", () => {
  assert.deepEqual(
    MARKDOWN.flatMap((file) => brokenLinks(file, readProjectFile(file))),
    [],
  );
});

/** Files and folders of the project that a page names in code or in a picture, as far as they are not there. */
function missingPaths(markdown: string): string[] {
  const names = [
    ...markdown.replace(/\]\([^)]*\)/g, "]").matchAll(
      /(?<![\w./-])((?:lib|node|tests|tools|docs)\/[\w./-]*\w|[\w./-]+\.ts)(?![\w-])/g,
    ),
  ].map(([, name = ""]) => name);
  return names.filter((name) => {
    const path = name.startsWith("node/") ? `lib/${name}` : name;
    return !FILES.some((file) =>
      file === path || file.startsWith(`${path}/`) ||
      (!path.includes("/") && file.endsWith(`/${path}`))
    );
  });
}

Deno.test("missingPaths() finds files and folders that are not there", () => {
  const page =
    'In `lib/nowhere/`, `lib/auth/gone.ts`, lost.ts and "node/attic: x".';
  assert.deepEqual(missingPaths(page), [
    "lib/nowhere",
    "lib/auth/gone.ts",
    "lost.ts",
    "node/attic",
  ]);
  assert.deepEqual(missingPaths("`lib/auth/`, `identity.ts`, node/link"), []);
});

Deno.test("docs/architecture.md names files and folders that are there, and each room of node", () => {
  const page = readProjectFile("docs/architecture.md");
  assert.deepEqual(missingPaths(page), []);
  for (const folder of Object.keys(IMPORT_TABLE)) {
    if (folder.startsWith("node/")) assert.ok(page.includes(folder), folder);
  }
  for (const reader of ["README.md", "CONTRIBUTING.md"]) {
    const text = readProjectFile(reader);
    assert.ok(text.includes("](docs/architecture.md)"), reader);
  }
});

Deno.test("no file names a path of a developer's machine", () => {
  const homes = ["home", "root", "work", "farm", "Users", "tmp/[a-z]+\\."];
  const path = new RegExp(`(^|[^\\w.])/(${homes.join("|")})/[a-zA-Z]`);
  assert.match(`see ${"/home"}/developer`, path);
  const named = TEXT.flatMap((file) =>
    readProjectFile(file).split("\n")
      .filter((line) => path.test(line))
      .map((line) => `${file}: ${line.trim()}`)
  );
  assert.deepEqual(named, []);
});

Deno.test("every task that the papers and workflows name exists", () => {
  const { tasks } = JSON.parse(readProjectFile("deno.json"));
  let named = 0;
  for (const file of TEXT.filter((name) => !name.endsWith(".ts"))) {
    for (
      const [, task = ""] of readProjectFile(file)
        .matchAll(/deno(?:@[\d.]+)? task (?!-)([a-z][a-z:_-]*)/g)
    ) {
      assert.ok(task in tasks, `${file} names the task ${task}`);
      named++;
    }
  }
  assert.ok(named > 5);
});

/** Paths with words of a test's name, as in `tests/a_test.ts` ("does what it says"). */
function namedTests(text: string): RegExpExecArray[] {
  return [...text.replace(/\s+/g, " ").matchAll(/`([^`]+)` \("([^"]+)"\)/g)];
}

/** Names of a file's tests, as far as they are written out. */
function testNames(path: string): string[] {
  return [
    ...readProjectFile(path).matchAll(
      /Deno\.test\(\s*(?:"([^"]*)"|`([^`]*)`)/g,
    ),
  ].map(([, plain, template]) => plain ?? template ?? "");
}

Deno.test("every promise of the threat model is planned, or names tests that are there", () => {
  const rows = [
    ...readProjectFile("docs/threat-model.md")
      .matchAll(/^- \*\*(P\d+)\*\* [^]*?^ {2}Test: ([^]*?)\.$/gm),
  ];
  assert.deepEqual(
    rows.map(([, promise]) => promise),
    rows.map((_, index) => `P${index + 1}`),
  );
  assert.ok(rows.length >= 15);
  let named = 0;
  for (const [, promise, state = ""] of rows) {
    if (state === "planned") continue;
    const paths = [...state.matchAll(/`([^`]+)`/g)].map(([, path = ""]) =>
      path
    );
    assert.ok(paths.length > 0, `${promise} is neither planned nor shown`);
    for (const path of paths) {
      assert.ok(FILES.includes(path), `${promise} names ${path}`);
    }
    for (const [, path = "", words = ""] of namedTests(state)) {
      assert.ok(
        testNames(path).some((name) => name.includes(words)),
        `${promise} names a test "${words}" that ${path} does not have`,
      );
      named++;
    }
  }
  assert.ok(named >= rows.length, "most promises name their tests");
});

Deno.test("one version of Deno is asked for throughout", () => {
  const wanted = TEXT.flatMap((file) =>
    [...readProjectFile(file).matchAll(/\bdeno@(\d+\.\d+\.\d+)/g)]
      .map(([, version]) => `${version}`)
  );
  assert.equal(new Set(wanted).size, 1, wanted.join(" "));
});

Deno.test("decision records are numbered, and tell context, decision and consequences", () => {
  const records = FILES.filter((file) => file.startsWith("docs/decisions/"));
  assert.ok(records.length >= 2);
  const numbers = new Set<string>();
  for (const file of records) {
    const [, number] = /^docs\/decisions\/(\d{4})-[a-z0-9-]+\.md$/.exec(file) ??
      [];
    assert.ok(number, `${file} is not named NNNN-words.md`);
    assert.ok(!numbers.has(number), `two records have the number ${number}`);
    numbers.add(number);
    const text = readProjectFile(file);
    assert.match(
      text,
      new RegExp(`^# ${Number(number)}\\. |^# ${number}[.:]? `),
    );
    for (const part of ["Context", "Decision", "Consequences"]) {
      assert.ok(text.includes(`## ${part}`), `${file} lacks ## ${part}`);
    }
  }
});
