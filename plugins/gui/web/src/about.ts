/** What the control plane says of itself to these pages. */

import { effect, signal } from "@preact/signals";
import { connection } from "./connection";

export interface About {
  version: string;
  environment: string;
  storeType: string;
  /** The address by which others reach the control plane. */
  hostname: string;
  /** Ports by the name of what listens there. */
  ports: Record<string, number>;
}

/** `undefined` until it was read; what was true last while the control plane is lost. */
export const about = signal<About | undefined>(undefined);

/** Read it now, and again whenever the control plane comes back: it may be one of another version. */
export function startAbout(): void {
  let known = false;
  effect(() => {
    if (connection.value === "lost") known = false;
    else if (!known) {
      known = true;
      void read().catch(() => (known = false));
    }
  });
}

async function read(): Promise<void> {
  const answer = await fetch("/config", { cache: "no-store" });
  if (answer.ok) about.value = (await answer.json()) as About;
}
