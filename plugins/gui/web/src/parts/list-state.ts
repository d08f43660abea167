/** What of a list is shown, kept in the address: words, order, page, and the row that is open. */

import { address, route, setQuery } from "../router";

export interface ListState {
  q: string;
  /** A field of the server, with `-` before it for the other way round; empty for the server's own order. */
  sort: string;
  page: number;
  size: number;
  /** The key of the row whose drawer is open; empty for none. */
  row: string;
}

/** The state of the list on this page. */
export function useListState({ size = 50, sort = "" } = {}): ListState {
  const { query } = route.value;
  return {
    q: query.get("q") ?? "",
    sort: query.get("sort") ?? sort,
    page: Math.max(1, Number(query.get("page")) || 1),
    size,
    row: query.get("row") ?? "",
  };
}

/** The path of the API for a list in this state; `total` and pages come with it. */
export function listQuery(path: string, state: ListState): string {
  const offset = (state.page - 1) * state.size;
  return address(path, { size: state.size, offset: offset || null, q: state.q.trim(), sort: state.sort });
}

/** Search: the first page of what fits. */
export function search(q: string): void {
  setQuery({ q, page: null });
}

/** Order by a field; by the same one again, the other way round. */
export function orderBy(state: ListState, field: string): void {
  setQuery({ sort: state.sort === field ? `-${field}` : field, page: null });
}
