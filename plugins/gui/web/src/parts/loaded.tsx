import type { ComponentChildren } from "preact";
import type { Live } from "../live";
import { Age } from "./age";
import { Problem } from "./problem";

interface Props<T> {
  of: Live<T>;
  children: (data: T) => ComponentChildren;
}

/** What was read, once it is there; the error beside what was known before; grey while it may be old. */
export function Loaded<T>({ of, children }: Props<T>) {
  return (
    <>
      {of.error && <Problem error={of.error} retry={of.retry} />}
      {of.data !== undefined ? (
        <div class={of.stale ? "stale" : undefined}>
          {of.stale && (
            <p class="as-of">
              As it was <Age at={of.at} />
            </p>
          )}
          {children(of.data)}
        </div>
      ) : (
        of.loading && !of.error && <p class="quiet" role="status">Loading …</p>
      )}
    </>
  );
}
