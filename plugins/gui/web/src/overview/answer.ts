/** What `/overview`, `/findings` and `/changes` answer. */

export interface Numbers {
  total: number;
  online: number;
  degraded: number;
  offline: number;
  neverConnected: number;
}

export interface MeshOverview {
  name: string;
  /** The authority that signs; empty where mTLS is off. */
  mtls: string;
  metrics: boolean;
  services: number;
  dataplanes: Numbers;
  calls: Record<string, number>;
  /** How many resources there are by kind. */
  resources: Record<string, number>;
  findings: Record<"error" | "warning" | "info", number>;
  health: { level: "good" | "warning" | "error" | "empty"; text: string };
}

export interface Overview {
  items: MeshOverview[];
  total: number;
  totals: { meshes: number; dataplanes: Numbers; resources: Record<string, number> };
}

export interface Finding {
  id: string;
  level: "error" | "warning" | "info";
  subject: { kind: string; name: string };
  text: string;
  advice: string;
}

export interface Change {
  at: string;
  type: "resource" | "status" | "rejection";
  kind: string;
  mesh?: string;
  name: string;
  op?: "put" | "delete";
  state?: string;
  reason?: string;
}
