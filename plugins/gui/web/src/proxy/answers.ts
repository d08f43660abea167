/** What the REST API says of a dataplane. The server judges; nothing here is computed a second time. */

export type Tags = Record<string, string>;

export interface Status {
  state: string;
  since?: string;
  reason?: string;
}

/** Whether others call the instance; missing where everybody is called. */
export interface Presence {
  state: string;
  since?: string;
  reason?: string;
}

export interface Inbound {
  interface: string;
  tags?: Tags;
}

export interface Outbound {
  interface: string;
  service: string;
}

export interface Networking {
  inbound?: Inbound[];
  outbound?: Outbound[];
  gateway?: { tags?: Tags };
  transparentProxying?: { redirectPort?: number };
}

/** Counters are texts, as 64-bit numbers are in JSON; one that is 0 is left out. */
export interface Responses {
  responsesSent?: string;
  responsesAcknowledged?: string;
  responsesRejected?: string;
}

/** The types of Envoy's resources, as the counters name them. */
export const TYPES = { cds: "Clusters", eds: "Endpoints", lds: "Listeners", rds: "Routes" } as const;
export type TypeName = keyof typeof TYPES;
export const TYPE_NAMES = Object.keys(TYPES) as TypeName[];

export type Counted = Partial<Record<TypeName | "total", Responses>>;

export interface Subscription {
  id: string;
  controlPlaneInstanceId?: string;
  connectTime?: string;
  disconnectTime?: string;
  status?: Counted & { lastUpdateTime?: string; lastRejection?: string };
}

export interface Certificates {
  refused?: string;
  problem?: string;
  issued?: string;
  ends?: string;
}

export interface Insight {
  problem?: string;
  certificates?: Certificates;
  subscriptions?: Subscription[];
}

/** `GET /meshes/{mesh}/dataplanes+insights/{name}`. */
export interface Overview {
  mesh: string;
  name: string;
  status: Status;
  presence?: Presence;
  dataplane: { networking?: Networking };
  dataplaneInsight?: Insight;
}

export interface Named {
  kind: string;
  name: string;
}

/** `GET /meshes/{mesh}/dataplanes/{name}/policies`. */
export interface Governing {
  current: boolean;
  items: (Named & { scope: string; services: string[]; inbounds: string[]; reason: string })[];
  none: { kind: string; stored: number; reason: string }[];
  problems: string[];
}

/** `GET /meshes/{mesh}/authority`. */
export interface Authority {
  encrypted: boolean;
  authority: string;
  roots: Root[];
  rotation: Rotation | null;
  problem: string;
}

export interface Root {
  sha256: string;
  subject: string;
  notBefore: string;
  notAfter: string;
  /** `null`: the authority does not tell. */
  signs: boolean | null;
}

export interface Rotation {
  id: string;
  stage: string;
  since: string;
  settled: Record<string, boolean>;
  behind: { count: number; names: string[] };
}

/** `GET /meshes/{mesh}/dataplanes/{name}/xds`. */
export interface Dump {
  proxies: DumpedProxy[];
}

export interface DumpedProxy {
  metadata: Record<string, string>;
  problem: string;
  warnings: string[];
  types: Record<string, { version: string; resources: EnvoyResource[] }>;
  streams: { id: string; connected: string; types: Record<string, Taken> }[];
}

export interface EnvoyResource {
  name: string;
  version: string;
  config: unknown;
  origin: { words: string; policies: Named[] };
}

/** What a stream made of one type. */
export interface Taken {
  acknowledged: string;
  upToDate: boolean;
  rejection: string;
  hint: string;
  culprits: string[];
}

/** A list with the number of all that fit. */
export interface Listed<T> {
  items: T[];
  total: number;
}

/** The path of the REST API below a mesh, each part encoded. */
export function ofMesh(mesh: string, ...parts: string[]): string {
  return ["meshes", mesh, ...parts].map((part) => `/${encodeURIComponent(part)}`).join("");
}

/** Dataplanes with their insights: the `+` stays as it is. */
export function overviewsOf(mesh: string, ...name: string[]): string {
  return [ofMesh(mesh), "dataplanes+insights", ...name.map(encodeURIComponent)].join("/");
}

/** All tag sets of a dataplane: one for each inbound, or that of the gateway. */
export function tagSets({ dataplane }: Overview): Tags[] {
  const { inbound = [], gateway } = dataplane.networking ?? {};
  return gateway ? [gateway.tags ?? {}] : inbound.map((item) => item.tags ?? {});
}

/** The sum of a counter over all streams that the control plane remembers. */
export function counted(insight: Insight | undefined, what: keyof Responses): number {
  const streams = insight?.subscriptions ?? [];
  return streams.reduce((sum, stream) => sum + Number(stream.status?.total?.[what] ?? 0), 0);
}

/** Envoy's words for what it refuses still, in full. */
export function rejections(insight: Insight | undefined): string[] {
  const open = (insight?.subscriptions ?? []).filter((stream) => stream.connectTime && !stream.disconnectTime);
  return open.map((stream) => stream.status?.lastRejection ?? "").filter(Boolean);
}
