/** Every page: where it stands, and the chunk that shows it. The first pattern that fits is taken. */

import type { ComponentType } from "preact";

export interface Page {
  pattern: string;
  load: () => Promise<{ default: ComponentType }>;
}

export const PAGES: readonly Page[] = [
  { pattern: "/", load: () => import("./pages/overview") },
  { pattern: "/first-run", load: () => import("./pages/first-run") },
  { pattern: "/meshes/:mesh", load: () => import("./pages/mesh") },
  { pattern: "/meshes/:mesh/map", load: () => import("./pages/map") },
  { pattern: "/meshes/:mesh/explain", load: () => import("./pages/explain") },
  { pattern: "/meshes/:mesh/services", load: () => import("./pages/services") },
  { pattern: "/meshes/:mesh/services/:name", load: () => import("./pages/services") },
  { pattern: "/meshes/:mesh/dataplanes", load: () => import("./pages/dataplanes") },
  { pattern: "/meshes/:mesh/dataplanes/:name", load: () => import("./pages/dataplane") },
  { pattern: "/meshes/:mesh/dataplanes/:name/xds", load: () => import("./pages/xds") },
  { pattern: "/meshes/:mesh/certificates", load: () => import("./pages/certificates") },
  { pattern: "/meshes/:mesh/policies/:kind", load: () => import("./pages/policies") },
  { pattern: "/meshes/:mesh/policies/:kind/:name", load: () => import("./pages/policy") },
];

export const NOT_FOUND: Page = { pattern: "*", load: () => import("./pages/not-found") };
