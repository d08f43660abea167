/** Longest path: how far from the left each node stands. */

import { byName } from "./graph.ts";

/** Services that nobody calls and that call nobody stand side by side in so many columns at least. */
const FEWEST_COLUMNS = 4;

/** A link without cycles, by numbers of nodes. */
export interface Arc {
  readonly from: number;
  readonly to: number;
}

/**
 * The rank of each node: one more than the highest of those who call it. A node that nobody calls stands as far to the
 * right as those allow whom it calls, so that its lines are short; those without any line fill the ranks evenly.
 */
export function ranks(count: number, arcs: readonly Arc[]): number[] {
  const into = neighbours(count, arcs, (arc) => [arc.to, arc.from]);
  const outOf = neighbours(count, arcs, (arc) => [arc.from, arc.to]);
  const found = new Array<number>(count).fill(0);
  for (const node of inOrder(count, into, outOf)) {
    for (const next of outOf[node] ?? []) {
      found[next] = Math.max(found[next] ?? 0, (found[node] ?? 0) + 1);
    }
  }
  const wide = Math.max(found.reduce((most, rank) => Math.max(most, rank), 0) + 1, FEWEST_COLUMNS);
  let alone = 0;
  for (let node = 0; node < count; node += 1) {
    if ((into[node] ?? []).length > 0) continue;
    const below = (outOf[node] ?? []).map((next) => found[next] ?? 0);
    if (below.length > 0) found[node] = Math.min(...below) - 1;
    else {
      found[node] = alone % wide;
      alone += 1;
    }
  }
  return found;
}

/** For each node those at the other end of its arcs; `ends` says which end of an arc is the node's. */
export function neighbours(count: number, arcs: readonly Arc[], ends: (arc: Arc) => [number, number]): number[][] {
  const found: number[][] = Array.from({ length: count }, () => []);
  for (const arc of arcs) {
    const [own, other] = ends(arc);
    found[own]?.push(other);
  }
  return found;
}

/** The nodes so that each comes after all who call it. */
function inOrder(count: number, into: readonly number[][], outOf: readonly number[][]): number[] {
  const waiting = into.map((found) => found.length);
  const ready = Array.from({ length: count }, (_, node) => node).filter((node) => waiting[node] === 0);
  for (let at = 0; at < ready.length; at += 1) {
    for (const next of outOf[ready[at] ?? 0] ?? []) {
      const left = (waiting[next] ?? 0) - 1;
      waiting[next] = left;
      if (left === 0) ready.push(next);
    }
  }
  return ready;
}

/** Sorts names, once each. */
export function sortedOnce(names: Iterable<string>): string[] {
  return [...new Set(names)].sort(byName);
}
