/** What the layout takes and what it gives. Everything here is plain data: no browser is needed to lay out a map. */

export interface Link {
  readonly source: string;
  readonly target: string;
}

export interface Graph {
  readonly nodes: readonly string[];
  readonly links: readonly Link[];
  /** In which group a node stands; nodes of one group share a lane. All stand in one lane without it. */
  readonly groupOf?: (node: string) => string;
}

/** The top left corner of a node, in pixels. */
export interface Place {
  readonly x: number;
  readonly y: number;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

export interface Lane {
  readonly name: string;
  readonly y: number;
  readonly height: number;
}

export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly places: ReadonlyMap<string, Place>;
  /** For each link, in the order of the graph: the points that its line goes through. */
  readonly lines: readonly (readonly Point[])[];
  /** The lanes from top to bottom; empty if nobody asked for groups. */
  readonly lanes: readonly Lane[];
}

export const NODE_WIDTH = 176;
export const NODE_HEIGHT = 48;

/**
 * Compares by code unit: `localeCompare` depends on the language of the browser, and the picture must not.
 */
export function byName(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
