import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

interface Props {
  title: string;
  close: () => void;
  children: ComponentChildren;
}

/** A panel beside the list that it belongs to: it covers nothing that the reader needs, and takes no focus away. */
export function Drawer({ title, close, children }: Props) {
  const own = useRef<HTMLElement>(null);
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (event.key !== "Escape" || event.defaultPrevented) return;
      event.preventDefault();
      close();
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [close]);
  return (
    <aside class="drawer" aria-label={title} ref={own}>
      <header>
        <h2>{title}</h2>
        <button type="button" class="small" onClick={close} aria-label="Close">
          ✕
        </button>
      </header>
      {children}
    </aside>
  );
}
