import type { ComponentChildren } from "preact";

export type Tone = "good" | "warn" | "bad" | "plain";

/** A short word that stands out. The colour only repeats what the word says. */
export function Badge({ tone = "plain", children }: { tone?: Tone; children: ComponentChildren }) {
  return <span class={`badge badge-${tone}`}>{children}</span>;
}
