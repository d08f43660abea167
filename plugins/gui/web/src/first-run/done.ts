/** Whether the reader has seen the first steps, kept by the browser: they are not in the way a second time. */

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { go } from "../router";

const KEPT_AS = "kuma.firstRun";

function kept(): boolean {
  try {
    return localStorage.getItem(KEPT_AS) === "done";
  } catch {
    return true; // a browser that keeps nothing would show them at every start
  }
}

export const firstRunDone = signal(kept());

/** On the page of all meshes: whoever comes to a control plane without any dataplane for the first time is led to the steps. */
export function useFirstRun(dataplanes: number | undefined): void {
  useEffect(() => {
    if (dataplanes === 0 && !firstRunDone.peek()) go("/first-run");
  }, [dataplanes]);
}

export function endFirstRun(): void {
  firstRunDone.value = true;
  try {
    localStorage.setItem(KEPT_AS, "done");
  } catch {
    // they come again with the next tab, and can be skipped again
  }
}
