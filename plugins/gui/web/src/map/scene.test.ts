/** What of a map is shown, without a browser. */

import assert from "node:assert/strict";
import { test } from "node:test";

import type { Call, Service, ServiceMap, Share } from "./answer.ts";
import { EVERYTHING, groupOf, isIdle, MANY_SERVICES, sceneOf, SEVERAL, sizeText, tagsOf, WITHOUT } from "./scene.ts";
import { instancesText, lookOf, shortened, splitTexts, stateOf } from "./words.ts";

const NOTHING = { focus: "", selected: "", steps: 1, group: "" };
const instances = { total: 1, online: 1, degraded: 0, offline: 0, neverConnected: 0 };
const service = (name: string, tags: Record<string, string[]> = {}): Service => ({
  name, isGhost: false, isGateway: false, instances, tags,
});
const share = (part: number, tags: Record<string, string>): Share => ({
  tags, weight: part * 100, share: part, endpoints: { total: 1, healthy: 1 }, instance: "",
});
const call = (source: string, destination: string, shares: Share[] = []): Call => ({
  source, destination, verdict: "allowed", reason: "", clients: { total: 1, healthy: 1 }, endpoints: { total: 1, healthy: 1 },
  permittedBy: [], followedBy: [], flows: [{ clients: 1, client: "", routedBy: [], shares }],
});
const chain = (count: number): ServiceMap => {
  const names = Array.from({ length: count }, (_, index) => `s${String(index).padStart(4, "0")}`);
  const edges = names.slice(1).map((name, index) => call(names[index] ?? "", name));
  return { mesh: "default", current: true, nodes: names.map((name) => service(name)), edges };
};
const shown = (map: ServiceMap, wish: Partial<typeof NOTHING>): string[] =>
  sceneOf(map, { ...NOTHING, ...wish }).services.map((one) => one.name);

test("a small map shows everything, a large one begins with one service and those around it", () => {
  assert.equal(shown(chain(MANY_SERVICES), {}).length, MANY_SERVICES);
  assert.deepEqual(shown(chain(MANY_SERVICES + 1), {}), ["s0000", "s0001", "s0002"]);
  assert.equal(shown(chain(MANY_SERVICES + 1), { focus: EVERYTHING }).length, MANY_SERVICES + 1);
});

test("what is selected is on a large map", () => {
  assert.deepEqual(shown(chain(200), { selected: "s0100" }), ["s0099", "s0100", "s0101"]);
  assert.deepEqual(shown(chain(200), { selected: "s0100", focus: "s0005" }), ["s0004", "s0005", "s0006"]);
});

test("a focus reaches so many steps, and one that is gone none", () => {
  assert.deepEqual(shown(chain(10), { focus: "s0005", steps: 2 }), ["s0003", "s0004", "s0005", "s0006", "s0007"]);
  assert.equal(shown(chain(10), { focus: "gone" }).length, 10);
});

test("a part that a route leads to another service has a line of its own", () => {
  const nodes = ["web", "ledger", "vault"].map((name) => service(name));
  const led = call("web", "ledger", [share(0.7, { service: "ledger" }), share(0.3, { service: "vault", version: "2" })]);
  const scene = sceneOf({ mesh: "default", current: true, nodes, edges: [led] }, NOTHING);
  assert.deepEqual(scene.lines.map((line) => [line.target, line.isLed, line.share]), [["ledger", false, 1], ["vault", true, 0.3]]);
  assert.deepEqual(splitTexts(led), ["70 % ledger", "30 % vault version=2"]);
  assert.equal(sizeText(scene), "3 services and 1 call");
});

test("services stand in the group of their one value", () => {
  assert.equal(groupOf(service("a", { zone: ["east"] }), "zone"), "east");
  assert.equal(groupOf(service("a", { zone: ["east", "west"] }), "zone"), SEVERAL);
  assert.equal(groupOf(service("a"), "zone"), WITHOUT);
  assert.deepEqual(tagsOf({ ...chain(1), nodes: [service("a", { zone: [] }), service("b", { area: [] })] }), ["area", "zone"]);
});

test("a call is idle when none of its clients is connected", () => {
  assert.equal(isIdle(call("a", "b")), false);
  assert.equal(isIdle({ ...call("a", "b"), clients: { total: 2, healthy: 0 } }), true);
});

test("a service has one word for all its instances", () => {
  const of = (found: Partial<typeof instances>): string => stateOf({ ...instances, online: 0, ...found });
  assert.equal(of({ online: 1 }), "Online");
  assert.equal(of({ online: 1, offline: 1, total: 2 }), "Degraded");
  assert.equal(of({ degraded: 1 }), "Degraded");
  assert.equal(of({ offline: 1 }), "Offline");
  assert.equal(of({ neverConnected: 1 }), "Never connected");
  assert.equal(instancesText(instances, false), "1 of 1 online");
  assert.equal(instancesText(instances, true), "nobody offers it");
});

test("a verdict that these pages do not know is told as it is", () => {
  assert.equal(lookOf("throttled").word, "throttled");
});

test("a long name keeps its end", () => {
  assert.equal(shortened("short", 10), "short");
  assert.equal(shortened("payments-eu-west-1", 10), "paymen…t-1");
});
