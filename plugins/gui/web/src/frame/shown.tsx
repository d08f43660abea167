import { type Signal, useSignal } from "@preact/signals";
import type { ComponentType } from "preact";
import { useEffect } from "preact/hooks";
import { ApiError } from "../api";
import { Problem } from "../parts/problem";
import { page, route } from "../router";

type Chunk = { pattern: string; view?: ComponentType; failed?: boolean };

/** The page of this place; its chunk is fetched first. Another mesh or resource is another page, with its own state. */
export function Shown() {
  const chunk = useSignal<Chunk>({ pattern: "" });
  const wanted = page.value;
  useEffect(() => void fetched(chunk), [wanted]);
  const { pattern, view: View, failed } = chunk.value;
  if (failed) return <Problem error={MISSING} retry={() => location.reload()} />;
  if (pattern !== wanted.pattern || !View) return <p class="quiet" role="status">Loading …</p>;
  return <View key={route.value.path} />;
}

async function fetched(chunk: Signal<Chunk>): Promise<void> {
  const wanted = page.peek();
  try {
    const view = (await wanted.load()).default;
    if (page.peek() === wanted) chunk.value = { pattern: wanted.pattern, view };
  } catch {
    if (page.peek() === wanted) chunk.value = { pattern: wanted.pattern, failed: true };
  }
}

const MISSING = new ApiError(
  0,
  "This page could not be fetched",
  "the control plane does not answer, or was replaced by one of another version",
);
