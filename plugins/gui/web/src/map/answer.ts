/** What `GET /meshes/{mesh}/service-map` answers. The server judges; nothing here is computed a second time. */

export type Verdict = "allowed" | "partly" | "denied" | "plaintext" | "noEndpoint" | "unknown";

export interface Instances {
  total: number;
  online: number;
  degraded: number;
  offline: number;
  neverConnected: number;
}

export interface Service {
  name: string;
  isGhost: boolean;
  isGateway: boolean;
  instances: Instances;
  /** The values of each other tag of its instances. */
  tags: Record<string, string[]>;
}

export interface Count {
  total: number;
  healthy: number;
}

export interface Named {
  kind: string;
  name: string;
}

export interface Share {
  tags: Record<string, string>;
  weight: number;
  /** Its part of all, from 0 to 1. */
  share: number;
  endpoints: Count;
  /** One of the dataplanes behind it; empty if there is none. */
  instance: string;
}

export interface Flow {
  clients: number;
  /** One of them. */
  client: string;
  routedBy: Named[];
  shares: Share[];
}

export interface Call {
  source: string;
  destination: string;
  verdict: Verdict;
  reason: string;
  clients: Count;
  endpoints: Count;
  permittedBy: Named[];
  followedBy: Named[];
  flows: Flow[];
}

export interface ServiceMap {
  mesh: string;
  current: boolean;
  nodes: Service[];
  edges: Call[];
}
