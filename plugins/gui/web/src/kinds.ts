/** The kinds of resources that this control plane serves, plugins' kinds too. */

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { ApiError, get } from "./api";
import { listen } from "./connection";

export interface KindColumn {
  header: string;
  path: string;
  format: string;
  default: string;
}

export interface Kind {
  name: string;
  path: string;
  singular: string;
  aliases: string[];
  scope: "mesh" | "global";
  readOnly: boolean;
  /** Whether control planes write it, about other resources. */
  status: boolean;
  plugin: string;
  /** What resources of the kind are chosen for, if they act on proxies. */
  policy?: string;
  columns: KindColumn[];
}

export interface Kinds {
  kinds: Kind[];
  missing?: { name: string; plugin: string; package: string; count: number }[];
}

/** Those that operators write within a mesh beside Dataplanes: policies, and whatever plugins bring. */
export function policyKinds(found: Kinds | undefined): Kind[] {
  const kinds = found?.kinds ?? [];
  return kinds.filter((kind) => kind.scope === "mesh" && !kind.status && kind.name !== "Dataplane");
}

const known = signal<{ data?: Kinds; error?: ApiError }>({});
let isFollowed = false;

async function read(): Promise<void> {
  try {
    known.value = { data: await get<Kinds>("/kinds") };
  } catch (error) {
    if (error instanceof ApiError) known.value = { ...known.peek(), error };
  }
}

/** Kinds change with the control plane alone: what all parts of all pages ask for is read once, until it comes back. */
function follow(): void {
  if (isFollowed) return;
  isFollowed = true;
  listen((event) => {
    if (event.type === "begin" || event.type === "reset") void read();
  });
  void read();
}

/** `/kinds`. */
export function useKinds(): { data: Kinds | undefined; error: ApiError | undefined } {
  useEffect(follow, []);
  const { data, error } = known.value;
  return { data, error };
}

/** `TrafficRoute` as people write it: `Traffic Route`. */
export function spaced(name: string): string {
  return name.replace(/([a-z0-9])([A-Z])/g, "$1 $2");
}
