/** Through which points a line goes, and the path that an SVG draws of them. */

import { NODE_HEIGHT, NODE_WIDTH, type Place, type Point } from "./graph.ts";

/** How far the lines of one side of a node are apart at most, and how much of the side stays free. */
const APART = 8;
const FREE = 14;

/** How far above or below the middle of its side a line leaves its first node, and comes in at its last. */
export interface Ports {
  readonly from: number;
  readonly to: number;
}

/** The ports of each chain: those of one side of a node stand in the order of where their lines lead. */
export function ports(chains: readonly (readonly number[])[], places: readonly Place[]): Ports[] {
  const right = new Map<number, Asking[]>();
  const left = new Map<number, Asking[]>();
  chains.forEach((chain, index) => {
    const heights = [chain.at(1), chain.at(-2)].map((node) => places[node ?? -1]?.y ?? 0);
    ask(right, chain.at(0) ?? -1, { index, y: heights[0] ?? 0 });
    ask(left, chain.at(-1) ?? -1, { index, y: heights[1] ?? 0 });
  });
  const [from, to] = [given(right), given(left)];
  return chains.map((_, index) => ({ from: from.get(index) ?? 0, to: to.get(index) ?? 0 }));
}

interface Asking {
  readonly index: number;
  readonly y: number;
}

function ask(sides: Map<number, Asking[]>, node: number, asking: Asking): void {
  const side = sides.get(node);
  if (side) side.push(asking);
  else sides.set(node, [asking]);
}

function given(sides: ReadonlyMap<number, readonly Asking[]>): Map<number, number> {
  const found = new Map<number, number>();
  for (const side of sides.values()) {
    const step = Math.min(APART, (NODE_HEIGHT - FREE) / Math.max(1, side.length - 1));
    const sorted = [...side].sort((one, other) => one.y - other.y || one.index - other.index);
    sorted.forEach((asking, place) => found.set(asking.index, (place - (side.length - 1) / 2) * step));
  }
  return found;
}

/**
 * The points of a chain of nodes and stand-ins, from the right side of the first to the left side of the last; turned round
 * if the link itself was, so that the points always lead from who calls to who is called.
 */
export function points(
  chain: readonly number[],
  places: readonly Place[],
  real: number,
  port: Ports,
  isTurned: boolean,
): Point[] {
  const found = chain.flatMap((node, index): Point[] => {
    const place = places[node];
    if (place === undefined) return [];
    if (node >= real) return [place, { x: place.x + NODE_WIDTH, y: place.y }];
    const y = place.y + NODE_HEIGHT / 2;
    return [index === 0 ? { x: place.x + NODE_WIDTH, y: y + port.from } : { x: place.x, y: y + port.to }];
  });
  return isTurned ? found.reverse() : found;
}

/** The points of a link from a node to itself: a loop above its right corner. */
export function loop(place: Place): Point[] {
  const right = place.x + NODE_WIDTH;
  return [
    { x: right - 36, y: place.y },
    { x: right - 30, y: place.y - 16 },
    { x: right - 10, y: place.y - 16 },
    { x: right - 4, y: place.y },
  ];
}

/** A smooth path through the points: level at each of them, since lines leave and enter at the sides. */
export function path(found: readonly Point[]): string {
  const [first, ...rest] = found;
  if (first === undefined) return "";
  let text = `M${first.x} ${first.y}`;
  let last = first;
  for (const next of rest) {
    const middle = (last.x + next.x) / 2;
    text += last.y === next.y ? `L${next.x} ${next.y}` : `C${middle} ${last.y} ${middle} ${next.y} ${next.x} ${next.y}`;
    last = next;
  }
  return text;
}

/**
 * Where the label of a line stands: half way between two ranks. Every second piece leads from one rank to the next, those in
 * between pass a rank, where nodes are near.
 */
export function middle(found: readonly Point[]): Point {
  const pieces = Math.ceil((found.length - 1) / 2);
  const piece = 2 * Math.floor(pieces / 2 - (pieces % 2 === 0 ? 1 : 0));
  const [one, other] = [found[piece], found[piece + 1]];
  if (one === undefined || other === undefined) return { x: 0, y: 0 };
  return { x: (one.x + other.x) / 2, y: (one.y + other.y) / 2 };
}

/** A label with how many rows it has, at the foot of its first row. */
export interface Label extends Point {
  readonly rows: number;
}

const ROW = 15;
const WIDE = 90;

/** Labels that stand close to each other, moved down until none covers another, the upper ones first. */
export function apart(labels: readonly Label[]): Point[] {
  const found = labels.map(({ x, y }) => ({ x, y }));
  const order = labels.map((_, index) => index).sort((one, other) => at(labels, one).y - at(labels, other).y || one - other);
  const placed: Label[] = [];
  for (const index of order) {
    const own = at(labels, index);
    let y = own.y;
    for (const other of placed) {
      const isNear = Math.abs(other.x - own.x) < WIDE;
      if (isNear && y < other.y + other.rows * ROW && other.y < y + own.rows * ROW) y = other.y + other.rows * ROW;
    }
    placed.push({ ...own, y });
    placed.sort((one, other) => one.y - other.y);
    found[index] = { x: own.x, y };
  }
  return found;
}

function at(labels: readonly Label[], index: number): Label {
  return labels[index] ?? { x: 0, y: 0, rows: 0 };
}
