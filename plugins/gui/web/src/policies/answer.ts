/** What `/meshes/{mesh}/policies…` answers. */

export type Tags = Record<string, string>;

export interface Some<T> {
  total: number;
  items: T[];
}

/** One resource in a list. */
export interface Summary {
  name: string;
  state: "applies" | "neverWins" | "matchesNothing" | "fails";
  /** Why its plugin's code cannot say to whom it applies. */
  reason?: string;
  sources?: Tags[];
  destinations?: Tags[];
  connections?: number;
  losesAt?: number;
  proxies?: number;
}

export interface Place {
  source: string;
  destination: string;
  clients?: number;
}

export interface Lost extends Place {
  against: string;
  reason: string;
}

export interface Taker {
  dataplane: string;
  status: string;
  taken: boolean;
  reason: string;
}

/** One resource with all that is known of it. */
export interface Detail extends Omit<Summary, "connections" | "losesAt" | "proxies"> {
  kind: string;
  scope: string;
  connections?: Some<Place>;
  inbounds?: Some<{ service: string; dataplanes: number }>;
  losesAt?: Some<Lost>;
  proxies?: Some<Taker> & { taken: number };
}

export type Resource = Record<string, unknown> & { name: string };
