import { type Signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";

/**
 * What stands in a field whose value is part of the address. What the reader types stays while other parts of the page are
 * shown anew; the address wins when it changes.
 */
export function useTyped(value: string): Signal<string> {
  const typed = useSignal(value);
  useEffect(() => {
    typed.value = value;
  }, [value]);
  return typed;
}
