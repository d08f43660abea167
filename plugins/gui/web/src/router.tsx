/** Where the reader is. All view state is in the address, so that a view can be shared and comes back after a reload. */

import { computed, type ReadonlySignal, signal } from "@preact/signals";
import type { AnchorHTMLAttributes } from "preact";
import { fromHash } from "./hash-routes";
import { matched } from "./patterns";
import { NOT_FOUND, type Page, PAGES } from "./pages";

export interface Place {
  path: string;
  params: Record<string, string>;
  query: URLSearchParams;
}

type Query = Record<string, string | number | null | undefined>;

const here = signal(location.pathname + location.search);

const found = computed<{ place: Place; page: Page }>(() => {
  const { pathname, searchParams } = new URL(here.value, location.origin);
  for (const page of PAGES) {
    const params = matched(page.pattern, pathname);
    if (params) return { place: { path: pathname, params, query: searchParams }, page };
  }
  return { place: { path: pathname, params: {}, query: searchParams }, page: NOT_FOUND };
});

/** The place: its path, the parts of the pattern that have names, and the query. */
export const route: ReadonlySignal<Place> = computed(() => found.value.place);

/** The page that shows it. */
export const page: ReadonlySignal<Page> = computed(() => found.value.page);

/** The address of a path with a query; what is `null`, `undefined` or empty is left out. */
export function address(path: string, query: Query = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== null && value !== undefined && value !== "") search.set(name, String(value));
  }
  return search.size ? `${path}?${search}` : path;
}

/** Join parts of a path, each of them encoded: `inPath("meshes", mesh, "dataplanes")`. */
export function inPath(...parts: string[]): string {
  return parts.map((part) => `/${encodeURIComponent(part)}`).join("");
}

/** Go to a page; `replace` leaves no way back to where the reader is. */
export function go(path: string, query: Query = {}, replace = false): void {
  show(address(path, query), replace);
  window.scrollTo(0, 0);
}

/** Change parts of the query where the reader is; `null` takes a part away. */
export function setQuery(changes: Query, replace = true): void {
  const { path, query } = route.peek();
  show(address(path, { ...Object.fromEntries(query), ...changes }), replace);
}

function show(target: string, replace: boolean): void {
  if (target === here.peek()) return;
  history[replace ? "replaceState" : "pushState"](null, "", target);
  here.value = target;
}

/** Follow the browser's own buttons; an address of Kuma 0.3.2 (`#/default/dataplanes`) leads to the page of today. */
export function startRouter(): void {
  const read = () => {
    const old = fromHash(location.hash);
    if (old) history.replaceState(null, "", old);
    here.value = location.pathname + location.search;
  };
  addEventListener("popstate", read);
  addEventListener("hashchange", read);
  read();
}

type LinkProps = Omit<AnchorHTMLAttributes<HTMLAnchorElement>, "href" | "role"> & { to: string; query?: Query };

/** A link within the pages; a click with a modifier is the browser's own. */
export function Link({ to, query, ...rest }: LinkProps) {
  const href = address(to, query);
  const follow = (event: MouseEvent) => {
    if (event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(to, query);
  };
  return <a {...rest} href={href} onClick={follow} />;
}
