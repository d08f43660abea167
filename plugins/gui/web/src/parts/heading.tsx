import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";

/** The heading of a page, which is the title of its tab, too; `children` stand at its end. */
export function Heading({ title, children }: { title: string; children?: ComponentChildren }) {
  useEffect(() => {
    document.title = `${title} · Kuma`;
  }, [title]);
  return (
    <header class="heading">
      <h1>{title}</h1>
      {children}
    </header>
  );
}
