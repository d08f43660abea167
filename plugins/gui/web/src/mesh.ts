/** Which mesh the reader looks at. */

import { computed, effect, type ReadonlySignal } from "@preact/signals";
import { route } from "./router";

const KEPT_AS = "kuma.mesh";
const FIRST = "default";

/** The mesh of this page; empty on a page of all meshes. */
export const mesh: ReadonlySignal<string> = computed(() => route.value.params["mesh"] ?? "");

effect(() => {
  if (mesh.value) localStorage.setItem(KEPT_AS, mesh.value);
});

/** The mesh of this page, or else the one that was looked at last: where keys lead to from pages of all meshes. */
export function someMesh(): string {
  return mesh.peek() || localStorage.getItem(KEPT_AS) || FIRST;
}
