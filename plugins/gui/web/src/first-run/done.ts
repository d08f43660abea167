/** Whether the reader has seen the first steps, kept by the browser: they are not in the way a second time. */

import { get } from "../api";
import { go, route } from "../router";

const KEPT_AS = "kuma.firstRun";

interface Totals {
  totals: { dataplanes: { total: number } };
}

function isDone(): boolean {
  try {
    return localStorage.getItem(KEPT_AS) === "done";
  } catch {
    return true; // a browser that keeps nothing would show them at every start
  }
}

export function endFirstRun(): void {
  try {
    localStorage.setItem(KEPT_AS, "done");
  } catch {
    // nothing leads to them, then
  }
}

/** Whoever opens the first page of a control plane without any dataplane is led to the steps, once. */
export async function startFirstRun(): Promise<void> {
  if (route.peek().path !== "/" || isDone()) return;
  const found = await get<Totals>("/overview?size=1").catch(() => undefined);
  if (!found) return;
  if (found.totals.dataplanes.total > 0) endFirstRun();
  else if (route.peek().path === "/") go("/first-run", {}, true);
}
