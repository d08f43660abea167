/** Layers: the nodes of each rank, with stand-ins where a line passes a rank, so that lines know where others stand. */

import { type Arc, neighbours } from "./ranks.ts";

/** `count` nodes, the first `real` of them true ones and the others stand-ins; every arc leads to the next layer. */
export interface Layers {
  readonly real: number;
  readonly count: number;
  readonly layers: number[][];
  readonly into: readonly (readonly number[])[];
  readonly outOf: readonly (readonly number[])[];
  /** For each arc that came in: its source, its stand-ins, its target. */
  readonly chains: readonly (readonly number[])[];
}

/** Cuts each arc into arcs from one rank to the next. */
export function layered(real: number, arcs: readonly Arc[], rankOf: readonly number[]): Layers {
  const layers: number[][] = [];
  let count = 0;
  const stand = (rank: number): number => {
    while (layers.length <= rank) layers.push([]);
    layers[rank]?.push(count);
    count += 1;
    return count - 1;
  };
  for (let node = 0; node < real; node += 1) stand(rankOf[node] ?? 0);
  const chains = arcs.map((arc) => {
    const between: number[] = [];
    for (let rank = (rankOf[arc.from] ?? 0) + 1; rank < (rankOf[arc.to] ?? 0); rank += 1) between.push(stand(rank));
    return [arc.from, ...between, arc.to];
  });
  const steps = chains.flatMap((chain) => chain.slice(1).map((to, index) => ({ from: chain[index] ?? 0, to })));
  return {
    real,
    count,
    layers,
    into: neighbours(count, steps, (arc) => [arc.to, arc.from]),
    outOf: neighbours(count, steps, (arc) => [arc.from, arc.to]),
    chains,
  };
}
