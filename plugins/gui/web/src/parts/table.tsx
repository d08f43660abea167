import type { ComponentChildren } from "preact";
import { setQuery } from "../router";
import { type ListState, orderBy } from "./list-state";
import { Pager, Search } from "./list-controls";

export interface Column<T> {
  id: string;
  title: string;
  cell: (row: T) => ComponentChildren;
  /** The field of the server's `sort`; a column without one cannot be sorted by. */
  sort?: string;
  numeric?: boolean;
  /** Left out on narrow screens. */
  wide?: boolean;
}

interface Props<T> {
  label: string;
  columns: Column<T>[];
  rows: T[];
  rowKey: (row: T) => string;
  /** What the server says is there in all; left out where the rows are all. */
  total?: number | undefined;
  /** Left out for a table that is neither searched, sorted nor paged. */
  state?: ListState;
  /** What to type into the search, such as `name:web status:offline`. */
  hint?: string;
  /** What opens the drawer of a row; without it rows open nothing. */
  opens?: boolean;
  empty?: ComponentChildren;
}

/** A table of the server's rows: it sorts, searches and pages nothing by itself. */
export function Table<T>(props: Props<T>) {
  const { label, columns, rows, state, empty } = props;
  return (
    <div class="list">
      {state && props.hint !== undefined && <Search state={state} label={label} hint={props.hint} />}
      {rows.length === 0 ? (
        <div class="empty">{state?.q ? <p class="empty-title">Nothing fits “{state.q}”</p> : empty}</div>
      ) : (
        <div class="scrolling" tabIndex={0} role="region" aria-label={label}>
          <table aria-label={label}>
            <thead>
              <tr>{columns.map((column) => <Head key={column.id} column={column} state={state} />)}</tr>
            </thead>
            <tbody>{rows.map((row) => <Row key={props.rowKey(row)} row={row} {...props} />)}</tbody>
          </table>
        </div>
      )}
      {state && <Pager state={state} label={label} total={props.total ?? rows.length} shown={rows.length} />}
    </div>
  );
}

function classes<T>(column: Column<T>): string | undefined {
  return [column.numeric && "numeric", column.wide && "wide"].filter(Boolean).join(" ") || undefined;
}

function Head<T>({ column, state }: { column: Column<T>; state: ListState | undefined }) {
  const field = column.sort;
  if (!field || !state) {
    return (
      <th scope="col" class={classes(column)}>
        {column.title}
      </th>
    );
  }
  const order = state.sort === field ? "ascending" : state.sort === `-${field}` ? "descending" : "none";
  return (
    <th scope="col" class={classes(column)} aria-sort={order}>
      <button type="button" onClick={() => orderBy(state, field)}>
        {column.title} <span aria-hidden="true">{{ ascending: "▲", descending: "▼", none: "" }[order]}</span>
      </button>
    </th>
  );
}

/** A row opens by a click anywhere on it; the keyboard takes the button or link in its first cell. */
function Row<T>({ row, columns, rowKey, state, opens }: Props<T> & { row: T }) {
  const key = rowKey(row);
  const isOpen = opens && state?.row === key;
  const open = () => setQuery({ row: isOpen ? null : key });
  const onClick = (event: MouseEvent) => {
    if (!(event.target as Element).closest("a, button")) open();
  };
  return (
    <tr class={isOpen ? "open" : undefined} onClick={opens ? onClick : undefined}>
      {columns.map((column, place) => (
        <td key={column.id} class={classes(column)}>
          {place === 0 && opens ? (
            <button type="button" class="row-opens" aria-expanded={Boolean(isOpen)} onClick={open}>
              {column.cell(row)}
            </button>
          ) : (
            column.cell(row)
          )}
        </td>
      ))}
    </tr>
  );
}
