/** The kinds of resources that this control plane serves, plugins' kinds too. */

import { signal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { useLive } from "./live";

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

const known = signal<Kinds | undefined>(undefined);

/** `/kinds`, which changes with the control plane alone: the first who asks reads it, for everybody. */
export function useKinds(): { data: Kinds | undefined } {
  const reads = useRef(known.peek() === undefined);
  const own = useLive<Kinds>(reads.current ? "/kinds" : null, { kinds: [] }).data;
  useEffect(() => {
    if (own) known.value = own;
  }, [own]);
  return { data: own ?? known.value };
}

/** `TrafficRoute` as people write it: `Traffic Route`. */
export function spaced(name: string): string {
  return name.replace(/([a-z0-9])([A-Z])/g, "$1 $2");
}
