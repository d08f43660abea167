/** The columns that a kind brings, as `kumactl get` shows them: dotted paths into an item, and how a value is shown. */

import type { KindColumn } from "../kinds";

/** The text of a column for an item. */
export function cellText(column: KindColumn, item: unknown): string {
  const found = column.path.split("|").flatMap((path) => valuesAt(item, path.trim()));
  const texts = column.format === "sum" ? [String(sum(found))] : found.map((value) => valueText(value, column.format));
  return texts.filter((text) => text !== "").join(", ") || column.default;
}

/**
 * What lies at a dotted path. A step `*` goes through every element of a list or every value of an object; a path that ends
 * in `?` has the names of the members that are found there.
 */
export function valuesAt(item: unknown, path: string): unknown[] {
  const asksForNames = path.endsWith("?");
  let found: unknown[] = [item];
  for (const step of path.replace(/\?$/, "").split(".").filter(Boolean)) {
    found = found.flatMap((value) => stepped(value, step));
  }
  return asksForNames ? found.flatMap((value) => (isObject(value) ? Object.keys(value) : [])) : found;
}

function stepped(value: unknown, step: string): unknown[] {
  if (step === "*") return Array.isArray(value) ? value : isObject(value) ? Object.values(value) : [];
  const next = isObject(value) ? value[step] : undefined;
  return next === undefined || next === null ? [] : [next];
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

/** Counters of 64 bits are texts: adding those up as texts is how 0.3.2 made `12` of `1` and `2`. */
function sum(found: readonly unknown[]): bigint {
  return found.reduce<bigint>((total, value) => total + wholeNumber(value), 0n);
}

function wholeNumber(value: unknown): bigint {
  return /^\d+$/.test(String(value)) ? BigInt(String(value)) : 0n;
}

function valueText(value: unknown, format: string): string {
  if (format === "onOff") return value ? "on" : "off";
  if (format === "tags" && isObject(value)) return tagsText(value);
  return isObject(value) ? JSON.stringify(value) : String(value);
}

/** `service=web zone=east`. */
export function tagsText(tags: Readonly<Record<string, unknown>>): string {
  return Object.entries(tags).map(([key, value]) => `${key}=${String(value)}`).join(" ");
}
