/** Where the pages of policies are. The path of a kind's collection names it, a plugin's kind too. */

import type { Kinds } from "../kinds";
import { inPath } from "../router";

/** The page of one resource; while the kinds are not known, the page of the mesh. */
export function policyPlace(mesh: string, kinds: Kinds | undefined, kind: string, name: string): string {
  const path = kinds?.kinds.find((item) => item.name === kind)?.path;
  return path ? inPath("meshes", mesh, "policies", path, name) : inPath("meshes", mesh);
}
