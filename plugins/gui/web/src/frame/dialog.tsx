import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { closeDialog } from "./dialogs";

/** A dialog over the page; the browser keeps the focus within, and gives it back afterwards. */
export function Dialog({ title, children }: { title: string; children: ComponentChildren }) {
  const own = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const element = own.current!;
    element.showModal();
    return () => element.close();
  }, []);
  const onClick = (event: MouseEvent) => {
    if (event.target === own.current) closeDialog();
  };
  return (
    <dialog ref={own} aria-label={title} onCancel={closeDialog} onClick={onClick}>
      {children}
    </dialog>
  );
}
