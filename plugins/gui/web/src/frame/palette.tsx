import { useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { go } from "../router";
import { Dialog } from "./dialog";
import { closeDialog } from "./dialogs";
import { known, type Target, found } from "./targets";

const PAUSE_MILLISECONDS = 150;
const MOST_SHOWN = 12;

/** Goes to anything by its name. What it knows comes at once, what the server has to look for a moment later. */
export default function Palette() {
  const typed = useSignal("");
  const targets = useSignal<Target[]>([]);
  const chosen = useSignal(0);
  useEffect(() => {
    const left = new AbortController();
    const timer = setTimeout(() => void look(typed.value, left.signal), typed.value ? PAUSE_MILLISECONDS : 0);
    return () => {
      clearTimeout(timer);
      left.abort();
    };
  }, [typed.value]);

  async function look(words: string, signal: AbortSignal): Promise<void> {
    const here = await known(words, signal);
    if (signal.aborted) return;
    targets.value = here.slice(0, MOST_SHOWN);
    chosen.value = 0;
    const there = words.trim() ? await found(words, signal) : [];
    if (!signal.aborted) targets.value = [...here, ...there].slice(0, MOST_SHOWN);
  }

  const shown = targets.value;
  const take = (target: Target | undefined) => {
    if (!target) return;
    closeDialog();
    go(target.path);
  };
  const onKey = (event: KeyboardEvent) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && shown.length) chosen.value = (chosen.value + step + shown.length) % shown.length;
    else if (event.key === "Enter") take(shown[chosen.value]);
    else return;
    event.preventDefault();
  };
  return (
    <Dialog title="Go to">
      <Field typed={typed.value} type={(text) => (typed.value = text)} onKey={onKey} active={shown.length ? `target-${chosen.value}` : undefined} />
      <ul role="listbox" id="targets" aria-label="What fits">
        {shown.map((target, place) => (
          <li
            key={target.path}
            id={`target-${place}`}
            role="option"
            aria-selected={place === chosen.value}
            onMouseMove={() => (chosen.value = place)}
            onClick={() => take(target)}
          >
            <span>{target.title}</span> <span class="quiet">{target.what}</span>
          </li>
        ))}
      </ul>
      {shown.length === 0 && <p class="quiet">Nothing fits.</p>}
    </Dialog>
  );
}

interface FieldProps {
  typed: string;
  type: (text: string) => void;
  onKey: (event: KeyboardEvent) => void;
  active: string | undefined;
}

function Field({ typed, type, onKey, active }: FieldProps) {
  const own = useRef<HTMLInputElement>(null);
  useEffect(() => own.current!.focus(), []);
  return (
    <input
      ref={own}
      type="text"
      role="combobox"
      aria-label="Go to"
      aria-expanded="true"
      aria-controls="targets"
      aria-activedescendant={active}
      autocomplete="off"
      placeholder="A page, mesh, service, dataplane or policy"
      value={typed}
      onInput={(event) => type(event.currentTarget.value)}
      onKeyDown={onKey}
    />
  );
}
