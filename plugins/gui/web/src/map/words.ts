/** How a verdict is told: by a word, a mark and a line, so that nobody needs to see its colour. */

import type { Call, Instances, Share, Verdict } from "./answer.ts";

export interface Look {
  readonly word: string;
  readonly mark: string;
  /** What the legend says. */
  readonly meaning: string;
}

export const LOOKS: Readonly<Record<Verdict, Look>> = {
  allowed: { word: "allowed", mark: "✓", meaning: "a permission lets every caller in" },
  partly: { word: "in part", mark: "◐", meaning: "some callers may come in, or at some instances" },
  denied: { word: "denied", mark: "✕", meaning: "mTLS is on, and no permission lets them in" },
  plaintext: { word: "plaintext", mark: "◇", meaning: "mTLS is off: anybody may call, unencrypted" },
  noEndpoint: { word: "no endpoint", mark: "○", meaning: "nobody healthy is there to answer" },
  unknown: { word: "unknown", mark: "?", meaning: "the code of a policy failed" },
};

/** A newer control plane may know verdicts that these pages do not. */
export function lookOf(verdict: string): Look {
  return LOOKS[verdict as Verdict] ?? { ...LOOKS.unknown, word: verdict };
}

/** `90 % version=1` for each part of calls that are split; nothing for those that go to one place. */
export function splitTexts(call: Call): string[] {
  const split = call.flows.find((flow) => flow.shares.length > 1);
  return (split?.shares ?? []).map((share) => `${percent(share)} ${placeText(share, call.destination)}`);
}

/** The share in percent, as `33.3 %`. */
export function percent(share: Share): string {
  return `${Math.round(share.share * 1000) / 10} %`;
}

/** The tags of a share; its service only where it is another one than the caller named. */
export function placeText({ tags }: Share, called: string): string {
  const others = Object.entries(tags).filter(([key]) => key !== "service");
  const text = others.map(([key, value]) => `${key}=${value}`).join(" ");
  const service = tags["service"] ?? "";
  if (service === called) return text || service;
  return text ? `${service} ${text}` : service;
}

/** `3 of 4 online`, or what else there is to say of a service. */
export function instancesText(found: Instances, isGhost: boolean): string {
  if (isGhost) return "nobody offers it";
  const serving = found.online + found.degraded;
  return `${serving} of ${found.total} online`;
}

/** The one word for all instances of a service: the worst that is true of the service as a whole. */
export function stateOf(found: Instances): "Online" | "Degraded" | "Offline" | "Never connected" {
  if (found.online === found.total && found.total > 0) return "Online";
  if (found.online + found.degraded > 0) return "Degraded";
  return found.offline > 0 ? "Offline" : "Never connected";
}

/** A name cut to a length, with the end kept: what differs in long names often stands there. */
export function shortened(name: string, most: number): string {
  if (name.length <= most) return name;
  const head = Math.ceil((most - 1) * 0.6);
  return `${name.slice(0, head)}…${name.slice(name.length - (most - 1 - head))}`;
}
