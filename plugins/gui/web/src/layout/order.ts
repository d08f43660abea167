/** Barycentre sweeps: the order of the nodes of each layer, so that few lines cross. */

import type { Layers } from "./layers.ts";

/** How often the layers are swept, there and back, at most. */
const SWEEPS = 6;

/** A sweep that leaves more of the crossings than this is the last: the next ones gain nothing that one can see. */
const WORTH = 0.98;

/**
 * Orders each layer in place. `laneOf` gives the lane of a node; a layer is sorted by lane first. Ties keep the order that
 * the layer had, which began as that of names: the result depends on nothing else.
 */
export function untangle(graph: Layers, laneOf: readonly number[]): void {
  const at = new Array<number>(graph.count).fill(0);
  graph.layers.forEach((layer) => settle(layer, layer, at, laneOf, []));
  let best = graph.layers.map((layer) => [...layer]);
  let fewest = crossings(graph, at);
  for (let sweep = 0; sweep < SWEEPS && fewest > 0; sweep += 1) {
    for (let rank = 1; rank < graph.layers.length; rank += 1) pull(graph, rank, graph.into, at, laneOf);
    for (let rank = graph.layers.length - 2; rank >= 0; rank -= 1) pull(graph, rank, graph.outOf, at, laneOf);
    const [before, now] = [fewest, crossings(graph, at)];
    if (now < before) {
      fewest = now;
      best = graph.layers.map((layer) => [...layer]);
    }
    if (now > before * WORTH) break;
  }
  graph.layers.forEach((layer, rank) => layer.splice(0, layer.length, ...(best[rank] ?? [])));
}

function pull(
  graph: Layers,
  rank: number,
  near: readonly (readonly number[])[],
  at: number[],
  laneOf: readonly number[],
): void {
  const layer = graph.layers[rank] ?? [];
  const centres: number[] = [];
  for (const node of layer) {
    const others = near[node] ?? [];
    let sum = 0;
    for (const other of others) sum += at[other] ?? 0;
    if (others.length > 0) centres[node] = sum / others.length;
    else centres[node] = isAlone(graph, node) ? Infinity : (at[node] ?? 0);
  }
  settle(layer, [...layer], at, laneOf, centres);
}

/** Whether no line leads to a node or away from it: such a one stands below all others. */
function isAlone(graph: Layers, node: number): boolean {
  return (graph.into[node] ?? []).length === 0 && (graph.outOf[node] ?? []).length === 0;
}

/** Sorts a layer by lane and centre; `Array.sort` is stable, which keeps ties as they are. */
function settle(
  layer: number[],
  wanted: readonly number[],
  at: number[],
  laneOf: readonly number[],
  centres: readonly number[],
): void {
  const sorted = [...wanted].sort(
    (one, other) =>
      (laneOf[one] ?? 0) - (laneOf[other] ?? 0) || ascending(centres[one] ?? 0, centres[other] ?? 0),
  );
  sorted.forEach((node, index) => {
    layer[index] = node;
    at[node] = index;
  });
}

/** A difference would not do: that of two infinities is not a number. */
function ascending(one: number, other: number): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

/** How many pairs of lines cross, counted between each two layers by a tree of sums: E log V. */
export function crossings(graph: Layers, at: readonly number[]): number {
  let found = 0;
  for (let rank = 1; rank < graph.layers.length; rank += 1) {
    const ends: number[] = [];
    for (const node of graph.layers[rank - 1] ?? []) {
      const own = (graph.outOf[node] ?? []).map((next) => at[next] ?? 0);
      ends.push(...own.sort((one, other) => one - other));
    }
    found += inversions(ends, graph.layers[rank]?.length ?? 0);
  }
  return found;
}

function inversions(ends: readonly number[], width: number): number {
  const tree = new Int32Array(width + 1);
  let found = 0;
  ends.forEach((end, seen) => {
    let notAbove = 0;
    for (let index = end + 1; index > 0; index -= index & -index) notAbove += tree[index] ?? 0;
    found += seen - notAbove;
    for (let index = end + 1; index <= width; index += index & -index) tree[index] = (tree[index] ?? 0) + 1;
  });
  return found;
}
