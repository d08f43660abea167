/** The keys of every page. Within a field a letter is a letter. */

import { someMesh } from "../mesh";
import { go, inPath } from "../router";
import { closeDialog, dialog, menu } from "./dialogs";

/** What `g` and a second key lead to. */
export const PLACES: Record<string, [title: string, path: () => string]> = {
  o: ["Overview of all meshes", () => "/"],
  h: ["Overview of the mesh", () => inPath("meshes", someMesh())],
  m: ["Service map", () => inPath("meshes", someMesh(), "map")],
  s: ["Services", () => inPath("meshes", someMesh(), "services")],
  d: ["Dataplanes", () => inPath("meshes", someMesh(), "dataplanes")],
  e: ["Explain", () => inPath("meshes", someMesh(), "explain")],
};

const PATIENCE_MILLISECONDS = 1_500;

let begun = 0;

export function startKeys(): void {
  addEventListener("keydown", pressed);
}

function pressed(event: KeyboardEvent): void {
  if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "k") return taken(event, () => (dialog.value = "palette"));
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (event.key === "Escape") return left(event);
  if (dialog.peek() || isField(event.target)) return;
  if (event.timeStamp - begun < PATIENCE_MILLISECONDS && PLACES[event.key]) {
    begun = 0;
    return taken(event, () => go(PLACES[event.key]![1]()));
  }
  begun = event.key === "g" ? event.timeStamp : 0;
  if (event.key === "/") taken(event, search);
  if (event.key === "?") taken(event, () => (dialog.value = "help"));
}

function taken(event: Event, act: () => void): void {
  event.preventDefault();
  act();
}

/** Escape closes what lies on top, and else leaves the field. */
function left(event: KeyboardEvent): void {
  if (dialog.peek()) return taken(event, closeDialog);
  if (menu.peek()) return taken(event, () => (menu.value = false));
  if (isField(event.target)) taken(event, () => (event.target as HTMLElement).blur());
}

function isField(target: EventTarget | null): boolean {
  return target instanceof HTMLElement && target.matches("input, textarea, select, [contenteditable]");
}

/** The search of the page's list; of everything where it has none. */
function search(): void {
  const field = document.querySelector<HTMLInputElement>("main input[type=search]");
  if (!field) dialog.value = "palette";
  field?.focus();
  field?.select();
}
