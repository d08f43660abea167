/** What of a map is shown: around a service or all of it, grouped, with or without idle calls. No browser is needed. */

import { byName, type Link, type Picture } from "../layout/graph.ts";
import { layout } from "../layout/layered.ts";
import type { Call, Service, ServiceMap } from "./answer.ts";

/** A map of more services than this starts with one of them and those around it. */
export const MANY_SERVICES = 150;
/** In place of a service: all of them. */
export const EVERYTHING = "*";
/** Whose instances have several values of the tag, or none. */
export const SEVERAL = "several";
export const WITHOUT = "without";

export interface Wish {
  /** A service, `EVERYTHING`, or empty where the reader chose none. */
  readonly focus: string;
  /** The service that is selected, or that makes the call which is; empty for none. */
  readonly selected: string;
  readonly steps: number;
  /** The tag to group by; empty for none. */
  readonly group: string;
}

/** A line: a call, or where a route leads a part of it that goes to another service than the one that was called. */
export interface Line extends Link {
  readonly call: Call;
  readonly isLed: boolean;
  /** The part that is led there, from 0 to 1. */
  readonly share: number;
}

export interface Scene {
  readonly focus: string;
  readonly services: readonly Service[];
  readonly calls: readonly Call[];
  readonly lines: readonly Line[];
  readonly picture: Picture;
}

/** What is shown of a map. Hidden calls keep their place in the picture, so that nothing moves when they come and go. */
export function sceneOf(map: ServiceMap, wish: Wish): Scene {
  const lines = linesOf(map.edges);
  const focus = focusOf(map, wish, lines);
  const shown = focus === EVERYTHING ? new Set(map.nodes.map((node) => node.name)) : around(focus, wish.steps, lines);
  const services = map.nodes.filter((node) => shown.has(node.name));
  const kept = lines.filter((line) => shown.has(line.source) && shown.has(line.target));
  const calls = map.edges.filter((call) => shown.has(call.source) && shown.has(call.destination));
  return { focus, services, calls, lines: kept, picture: laidOut(services, kept, wish.group) };
}

function laidOut(services: readonly Service[], links: readonly Link[], group: string): Picture {
  const nodes = services.map((service) => service.name);
  if (!group) return layout({ nodes, links });
  const groups = new Map(services.map((service) => [service.name, groupOf(service, group)]));
  return layout({ nodes, links, groupOf: (node) => groups.get(node) ?? WITHOUT });
}

/** The group of a service by a tag: its value, if all instances have the same. */
export function groupOf(service: Service, tag: string): string {
  const values = service.tags[tag] ?? [];
  return values.length > 1 ? SEVERAL : (values[0] ?? WITHOUT);
}

/** Every tag that some service has, by name. */
export function tagsOf(map: ServiceMap): string[] {
  return [...new Set(map.nodes.flatMap((node) => Object.keys(node.tags)))].sort(byName);
}

function linesOf(calls: readonly Call[]): Line[] {
  return calls.flatMap((call) => [
    { source: call.source, target: call.destination, call, isLed: false, share: 1 },
    ...ledLines(call),
  ]);
}

function ledLines(call: Call): Line[] {
  const parts = new Map<string, number>();
  for (const { tags, share } of call.flows.flatMap((flow) => flow.shares)) {
    const service = tags["service"] ?? "";
    if (service !== call.destination) parts.set(service, Math.max(parts.get(service) ?? 0, share));
  }
  return [...parts].map(([target, share]) => ({ source: call.source, target, call, isLed: true, share }));
}

function focusOf(map: ServiceMap, wish: Wish, lines: readonly Line[]): string {
  const isThere = (name: string): boolean => map.nodes.some((node) => node.name === name);
  if (wish.focus === EVERYTHING || isThere(wish.focus)) return wish.focus;
  if (map.nodes.length <= MANY_SERVICES) return EVERYTHING;
  return isThere(wish.selected) ? wish.selected : busiest(map, lines);
}

/** The service with the most lines, the first by name of those. */
function busiest(map: ServiceMap, lines: readonly Line[]): string {
  const counts = new Map<string, number>();
  for (const { source, target } of lines) {
    for (const end of [source, target]) counts.set(end, (counts.get(end) ?? 0) + 1);
  }
  const names = map.nodes.map((node) => node.name);
  names.sort((one, other) => (counts.get(other) ?? 0) - (counts.get(one) ?? 0) || byName(one, other));
  return names[0] ?? EVERYTHING;
}

/** A service, and those so many lines away, whichever way the lines lead. */
function around(focus: string, steps: number, lines: readonly Line[]): Set<string> {
  let found = new Set([focus]);
  for (let step = 0; step < steps; step += 1) {
    const near = lines.filter((line) => found.has(line.source) || found.has(line.target));
    found = new Set([...found, ...near.flatMap((line) => [line.source, line.target])]);
  }
  return found;
}

/** Whether nobody can make a call now: none of its clients is connected. */
export function isIdle(call: Call): boolean {
  return call.clients.healthy === 0;
}

/** `2 services and 1 call`. */
export function sizeText({ services, calls }: Pick<Scene, "services" | "calls">): string {
  return `${many(services.length, "service")} and ${many(calls.length, "call")}`;
}

function many(count: number, what: string): string {
  return `${count} ${what}${count === 1 ? "" : "s"}`;
}
