/** The columns of kinds, without a browser. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { cellText, valuesAt } from "./cells.ts";

const column = (path: string, format = "text", other = ""): Parameters<typeof cellText>[0] => ({
  header: "H", path, format, default: other,
});

test("a path goes down, through lists and objects, and to names", () => {
  const item = { a: [{ b: 1 }, { b: 2 }], c: { d: { e: true } } };
  assert.deepEqual(valuesAt(item, "a.*.b"), [1, 2]);
  assert.deepEqual(valuesAt(item, "c.*.e"), [true]);
  assert.deepEqual(valuesAt(item, "c.d?"), ["e"]);
  assert.deepEqual(valuesAt(item, "c.x.y"), []);
});

test("several paths are gathered, and nothing found is the default", () => {
  assert.equal(cellText(column("a | b"), { a: "one", b: "two" }), "one, two");
  assert.equal(cellText(column("x", "text", "-"), {}), "-");
});

test("counters that are texts are added as numbers", () => {
  assert.equal(cellText(column("a.*", "sum"), { a: ["1", "2", 3] }), "6");
});

test("tags and switches", () => {
  assert.equal(cellText(column("t", "tags"), { t: { service: "web", zone: "east" } }), "service=web zone=east");
  assert.equal(cellText(column("on", "onOff"), { on: true }), "on");
});
