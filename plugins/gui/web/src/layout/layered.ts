/** The layered layout: cycle removal, longest path, barycentre sweeps. The same graph always gives the same picture. */

import { closing } from "./cycles.ts";
import { byName, type Graph, type Link, type Picture, type Place, type Point } from "./graph.ts";
import { type Layers, layered } from "./layers.ts";
import { loop, points, type Ports, ports } from "./lines.ts";
import { untangle } from "./order.ts";
import { place } from "./place.ts";
import { type Arc, ranks, sortedOnce } from "./ranks.ts";

interface Drawn {
  readonly link: Link;
  readonly isTurned: boolean;
  /** The index of its chain; none for a loop. */
  readonly chain: number | undefined;
}

/** Lays out a graph. A link whose end is no node is not drawn: its line has no points. */
export function layout(graph: Graph): Picture {
  const nodes = sortedOnce(graph.nodes);
  const numbers = new Map(nodes.map((node, number) => [node, number]));
  const [drawn, arcs] = turned(graph.links, nodes, numbers);
  const lanes = graph.groupOf ? sortedOnce(nodes.map(graph.groupOf)) : [];
  const graphLayers = layered(nodes.length, arcs, ranks(nodes.length, arcs));
  const laneOf = lanesOf(graphLayers, nodes, lanes, graph.groupOf);
  untangle(graphLayers, laneOf);
  const placed = place(graphLayers, laneOf, lanes);
  const given = ports(graphLayers.chains, placed.places);
  return {
    width: placed.width,
    height: placed.height,
    lanes: placed.lanes,
    places: new Map(nodes.map((node, number) => [node, placed.places[number] ?? { x: 0, y: 0 }])),
    lines: drawn.map((item) => line(item, graphLayers, placed.places, given, numbers)),
  };
}

/** The links with those that close a cycle turned round, and the arcs of all that are neither loops nor lost. */
function turned(
  links: readonly Link[],
  nodes: readonly string[],
  numbers: ReadonlyMap<string, number>,
): [Drawn[], Arc[]] {
  // By name, not as they came: the picture must not depend on the order of an answer.
  const sorted = links
    .map((link, index) => ({ link, index }))
    .sort((one, other) => byName(one.link.source, other.link.source) || byName(one.link.target, other.link.target));
  const back = closing(nodes, sorted.map((item) => item.link));
  const drawn = new Array<Drawn>(links.length);
  const arcs: Arc[] = [];
  sorted.forEach(({ link, index }, at) => {
    const [from, to] = [numbers.get(link.source), numbers.get(link.target)];
    const isTurned = back.has(at);
    const isArc = from !== undefined && to !== undefined && from !== to;
    drawn[index] = { link, isTurned, chain: isArc ? arcs.length : undefined };
    if (isArc) arcs.push(isTurned ? { from: to, to: from } : { from, to });
  });
  return [drawn, arcs];
}

/** The lane of each node; a stand-in goes with the node that its line comes from. */
function lanesOf(
  graph: Layers,
  nodes: readonly string[],
  lanes: readonly string[],
  groupOf: Graph["groupOf"],
): number[] {
  const found = new Array<number>(graph.count).fill(0);
  if (!groupOf) return found;
  const numbers = new Map(lanes.map((lane, number) => [lane, number]));
  nodes.forEach((node, number) => {
    found[number] = numbers.get(groupOf(node)) ?? 0;
  });
  for (const chain of graph.chains) {
    for (const standIn of chain.slice(1, -1)) found[standIn] = found[chain[0] ?? 0] ?? 0;
  }
  return found;
}

function line(
  item: Drawn,
  graph: Layers,
  places: readonly Place[],
  given: readonly Ports[],
  numbers: ReadonlyMap<string, number>,
): readonly Point[] {
  if (item.chain !== undefined) {
    const port = given[item.chain] ?? { from: 0, to: 0 };
    return points(graph.chains[item.chain] ?? [], places, graph.real, port, item.isTurned);
  }
  const own = places[numbers.get(item.link.source) ?? -1];
  return own && item.link.source === item.link.target ? loop(own) : [];
}
