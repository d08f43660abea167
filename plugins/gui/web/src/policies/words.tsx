/** How the pages of policies say what a resource does. */

import { Badge } from "../parts";
import type { Summary, Tags } from "./answer";
import { tagsText } from "./cells";

const STATES = {
  applies: ["good", "applies"],
  neverWins: ["warn", "never wins"],
  matchesNothing: ["warn", "matches nothing"],
  fails: ["bad", "fails"],
} as const;

export function PolicyState({ of: found }: { of: Pick<Summary, "state" | "reason"> }) {
  const [tone, word] = STATES[found.state] ?? (["plain", found.state] as const);
  return (
    <>
      <Badge tone={tone}>{word}</Badge> {found.reason}
    </>
  );
}

/** `service=web`, each selector for itself; `*` stands for everything. */
export function selectorsText(selectors: readonly Tags[] | undefined): string {
  return (selectors ?? []).map((tags) => tagsText(tags)).join(" or ");
}

const SCOPES: Readonly<Record<string, string>> = {
  route: "It says where calls go; the best match for each call applies.",
  outbound: "It is for calls, at the proxy of whoever calls; the best match for each call applies.",
  destination: "It is for the services that routes lead calls to; the best match for each applies.",
  inbound: "It is for inbounds; all that match apply together.",
  proxy: "It is for proxies as a whole; the best match for each applies.",
};

export function scopeText(scope: string): string {
  return SCOPES[scope] ?? "";
}
