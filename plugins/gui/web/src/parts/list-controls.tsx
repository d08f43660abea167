import { useRef } from "preact/hooks";
import { setQuery } from "../router";
import { type ListState, search } from "./list-state";

const PAUSE_MILLISECONDS = 250;

/** The field of a list's search; the key `/` leads to it. It waits until the reader pauses. */
export function Search({ state, label, hint }: { state: ListState; label: string; hint: string }) {
  const timer = useRef(0);
  const typed = (event: Event) => {
    const { value } = event.currentTarget as HTMLInputElement;
    clearTimeout(timer.current);
    timer.current = window.setTimeout(() => search(value), PAUSE_MILLISECONDS);
  };
  return (
    <input
      class="search"
      type="search"
      aria-label={`Search ${label}`}
      aria-keyshortcuts="/"
      placeholder={hint}
      defaultValue={state.q}
      onInput={typed}
    />
  );
}

/** Which rows of how many are shown, and the way to others. */
export function Pager({ state, label, total, shown }: { state: ListState; label: string; total: number; shown: number }) {
  const first = (state.page - 1) * state.size;
  const turn = (page: number) => setQuery({ page: page === 1 ? null : page, row: null }, false);
  return (
    <nav class="pager" aria-label={`Pages of ${label}`}>
      <span role="status">
        {shown ? `${first + 1}–${first + shown} of ${total.toLocaleString("en-US")}` : `0 of ${total}`}
      </span>
      {(state.page > 1 || first + shown < total) && (
        <>
          <button type="button" disabled={state.page <= 1} onClick={() => turn(state.page - 1)}>
            Previous
          </button>
          <button type="button" disabled={first + shown >= total} onClick={() => turn(state.page + 1)}>
            Next
          </button>
        </>
      )}
    </nav>
  );
}
