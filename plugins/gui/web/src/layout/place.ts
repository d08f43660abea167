/** From orders to pixels: columns of ranks, lanes of groups, and two columns where a rank is long. */

import { type Lane, NODE_HEIGHT, NODE_WIDTH, type Place } from "./graph.ts";
import type { Layers } from "./layers.ts";

/** A rank with more nodes than this stands in two columns, the second half a row lower, so that lines pass between. */
export const TALL = 12;

const ROW = NODE_HEIGHT + 20;
const STAND_IN = 6;
const GAP = 124;
const SECOND = NODE_WIDTH + 36;
const MARGIN = 24;
const LANE_HEAD = 30;

export interface Placed {
  readonly places: readonly Place[];
  readonly lanes: readonly Lane[];
  readonly width: number;
  readonly height: number;
}

interface Cell {
  readonly node: number;
  readonly column: 0 | 1;
  readonly y: number;
}

interface Stack {
  readonly cells: readonly Cell[];
  readonly height: number;
  readonly wraps: boolean;
}

/** Places all nodes and stand-ins. `lanes` are the names of the groups, or empty where there is one without a name. */
export function place(graph: Layers, laneOf: readonly number[], lanes: readonly string[]): Placed {
  const count = Math.max(1, lanes.length);
  const stacks = graph.layers.map((layer) => {
    const wraps = layer.filter((node) => node < graph.real).length > TALL;
    return Array.from({ length: count }, (_, lane) =>
      stack(layer.filter((node) => (laneOf[node] ?? 0) === lane), graph.real, wraps),
    );
  });
  const found = tops(stacks, count, lanes);
  const [places, width] = columns(graph, stacks, found);
  const last = found.at(-1) ?? { y: 0, height: 0 };
  return { places, width, height: last.y + last.height + MARGIN, lanes: lanes.length > 0 ? found : [] };
}

/** The nodes of one rank and one lane, one below the other; in a rank that wraps they alternate between two columns. */
function stack(nodes: readonly number[], real: number, wraps: boolean): Stack {
  const step = wraps ? ROW / 2 : ROW;
  let height = 0;
  let seen = 0;
  const cells = nodes.map((node): Cell => {
    const isReal = node < real;
    const cell: Cell = { node, column: wraps && isReal && seen % 2 === 1 ? 1 : 0, y: height };
    if (isReal) seen += 1;
    height += isReal ? step : STAND_IN;
    return cell;
  });
  return { cells, height: height + (wraps && seen > 0 ? ROW / 2 : 0), wraps };
}

function tops(stacks: readonly (readonly Stack[])[], count: number, names: readonly string[]): Lane[] {
  const found: Lane[] = [];
  let y = MARGIN;
  for (let lane = 0; lane < count; lane += 1) {
    const tallest = Math.max(ROW, ...stacks.map((rank) => rank[lane]?.height ?? 0));
    const height = tallest + (names.length > 0 ? LANE_HEAD : 0);
    found.push({ name: names[lane] ?? "", y, height });
    y += height + (names.length > 0 ? MARGIN / 2 : 0);
  }
  return found;
}

function columns(graph: Layers, stacks: readonly (readonly Stack[])[], lanes: readonly Lane[]): [Place[], number] {
  const places = new Array<Place>(graph.count);
  const head = lanes.some((lane) => lane.name !== "") ? LANE_HEAD : 0;
  let x = MARGIN;
  for (const rank of stacks) {
    rank.forEach((own, index) => {
      const lane = lanes[index];
      if (lane === undefined) return;
      // A short rank stands in the middle of its lane: its lines go up and down alike.
      const top = lane.y + head + (lane.height - head - own.height) / 2;
      for (const cell of own.cells) places[cell.node] = { x: x + cell.column * SECOND, y: top + cell.y };
    });
    const wraps = rank.some((own) => own.wraps);
    x += NODE_WIDTH + (wraps ? SECOND : 0) + GAP;
  }
  return [places, stacks.length > 0 ? x - GAP + MARGIN : MARGIN * 2];
}
