import assert from "node:assert/strict";
import fc from "fast-check";
import {
  listsEtag,
  parseContentRange,
  rangeOf,
} from "../../lib/share/byte_range.ts";

const ETAG = '"e"';

function asked(range: string, bytes = 100, ifRange?: string) {
  const headers = new Headers({ range });
  if (ifRange !== undefined) headers.set("if-range", ifRange);
  const answer = rangeOf(headers, bytes, ETAG);
  return answer.type === "part"
    ? [answer.range.from, answer.range.to]
    : answer.type;
}

Deno.test("rangeOf() reads one part from either end, no further than the file goes", () => {
  assert.deepEqual(asked("bytes=0-0"), [0, 1]);
  assert.deepEqual(asked("bytes=10-19"), [10, 20]);
  assert.deepEqual(asked("bytes=10-"), [10, 100]);
  assert.deepEqual(asked("bytes=10-1000"), [10, 100]);
  assert.deepEqual(asked("bytes=-10"), [90, 100]);
  assert.deepEqual(asked("bytes=-1000"), [0, 100]);
  assert.deepEqual(asked("bytes= 10 - 19"), [10, 20]);
});

Deno.test("rangeOf() refuses what lies behind the end, and everything of an empty file", () => {
  for (const range of ["bytes=100-", "bytes=100-200", "bytes=-0"]) {
    assert.equal(asked(range), "unsatisfiable", range);
  }
  assert.equal(asked("bytes=0-", 0), "unsatisfiable");
  assert.equal(asked("bytes=-1", 0), "unsatisfiable");
});

Deno.test("rangeOf() gives the whole where a field is no range, or several", () => {
  const fields = [
    ...[
      "",
      "bytes",
      "bytes=",
      "bytes=-",
      "bytes=a-b",
      "bytes=5-4",
      "lines=0-1",
    ],
    ...[
      "bytes=0-1,3-4",
      "bytes=1--2",
      "bytes=0x1-2",
      `bytes=${"9".repeat(70)}-`,
    ],
    ...["bytes=1e3-", "bytes=-1-2", `bytes=${"1-2,".repeat(10_000)}1-2`],
  ];
  for (const field of fields) assert.equal(asked(field), "whole", field);
});

Deno.test("rangeOf() gives a part only of the file that If-Range means, which no date does", () => {
  assert.deepEqual(asked("bytes=10-", 100, ETAG), [10, 100]);
  assert.equal(asked("bytes=10-", 100, '"other"'), "whole");
  assert.equal(asked("bytes=10-", 100, `W/${ETAG}`), "whole");
  assert.equal(
    asked("bytes=10-", 100, "Sat, 29 Oct 1994 19:43:31 GMT"),
    "whole",
  );
});

Deno.test("rangeOf() never leaves the file, whatever is asked", () => {
  const field = fc.oneof(
    fc.string(),
    fc.tuple(fc.nat(), fc.nat()).map(([a, b]) => `bytes=${a}-${b}`),
    fc.nat().map((a) => `bytes=-${a}`),
  );
  fc.assert(fc.property(field, fc.nat(2_000), (text, bytes) => {
    const headers = new Headers();
    try {
      headers.set("range", text);
    } catch {
      return; // no field could hold it
    }
    const answer = rangeOf(headers, bytes, ETAG);
    if (answer.type !== "part") return;
    const { from, to } = answer.range;
    assert.ok(0 <= from && from < to && to <= bytes);
  }));
});

Deno.test("listsEtag() finds a tag in a list, weak or strong, and the star", () => {
  for (const list of [ETAG, `"a", ${ETAG}`, `W/${ETAG}`, "*"]) {
    assert.ok(listsEtag(list, ETAG), list);
  }
  for (const list of ["", '"a"', "e"]) assert.ok(!listsEtag(list, ETAG), list);
});

Deno.test("parseContentRange() takes a part with a length, and nothing that makes no sense", () => {
  assert.deepEqual(parseContentRange("bytes 5-9/10"), {
    range: { from: 5, to: 10 },
    bytes: 10,
  });
  for (
    const text of ["bytes 5-4/10", "bytes 5-10/10", "bytes 5-9/*", "5-9/10", ""]
  ) assert.equal(parseContentRange(text), undefined, text);
});
