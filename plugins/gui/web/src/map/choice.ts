/** What the reader chose on the map; all of it stands in the address. */

import { route, setQuery } from "../router";
import type { Call } from "./answer";
import type { Line, Wish } from "./scene";

export interface Choice extends Wish {
  readonly hidesIdle: boolean;
  readonly zoom: number;
  /** The service that is selected; or the ends of a call. */
  readonly service: string;
  readonly from: string;
  readonly to: string;
}

/** The choice of somebody who only looks. */
export const NOTHING_CHOSEN: Choice = {
  focus: "", steps: 1, group: "", hidesIdle: false, zoom: 1, selected: "", service: "", from: "", to: "",
};

const MOST_STEPS = 3;
const ZOOMS = [0.25, 0.5, 0.75, 1, 1.5, 2] as const;

/** Reads the address. */
export function useChoice(): Choice {
  const { query } = route.value;
  const text = (name: string): string => query.get(name) ?? "";
  return {
    focus: text("focus"),
    steps: Math.min(MOST_STEPS, Math.max(1, Number(text("steps")) || 1)),
    group: text("group"),
    hidesIdle: text("idle") === "hidden",
    zoom: Math.min(2, Math.max(0.1, Number(text("zoom")) || 1)),
    selected: text("service") || text("from"),
    service: text("service"),
    from: text("from"),
    to: text("to"),
  };
}

export function selectService(name: string): void {
  setQuery({ service: name, from: null, to: null });
}

export function selectCall(call: Call): void {
  setQuery({ service: null, from: call.source, to: call.destination });
}

export function selectNothing(): void {
  setQuery({ service: null, from: null, to: null });
}

export function focusOn(focus: string): void {
  setQuery({ focus }, false);
}

/** The next zoom in a direction. */
export function zoomed(zoom: number, isIn: boolean): number {
  const next = isIn ? ZOOMS.find((step) => step > zoom) : ZOOMS.findLast((step) => step < zoom);
  return next ?? zoom;
}

export function isSelected(choice: Choice, call: Call): boolean {
  return choice.from === call.source && choice.to === call.destination;
}

export function hasSelection(choice: Choice): boolean {
  return choice.service !== "" || choice.from !== "";
}

/** Whether a line has nothing to do with what is selected. */
export function isLineDim(choice: Choice, line: Line): boolean {
  if (choice.service) return line.source !== choice.service && line.target !== choice.service;
  return choice.from !== "" && !isSelected(choice, line.call);
}

/** The services that have to do with what is selected; nothing if everything has. */
export function litServices(choice: Choice, lines: readonly Line[]): ReadonlySet<string> | undefined {
  if (!hasSelection(choice)) return undefined;
  const near = lines.filter((line) => !isLineDim(choice, line));
  return new Set([choice.service, ...near.flatMap((line) => [line.source, line.target])]);
}
