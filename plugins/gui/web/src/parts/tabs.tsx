import type { ComponentChildren } from "preact";
import { route, setQuery } from "../router";

export interface Tab {
  id: string;
  title: string;
  /** Why there is nothing to show; such a tab is never the default. */
  empty?: string;
  show: () => ComponentChildren;
}

/** Tabs; which one is open stands in the query as `tab`. */
export function Tabs({ label, tabs }: { label: string; tabs: Tab[] }) {
  const wanted = route.value.query.get("tab");
  const open = tabs.find((tab) => tab.id === wanted) ?? tabs.find((tab) => !tab.empty) ?? tabs[0];
  if (!open) return null;
  const move = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const next = tabs[(tabs.indexOf(open) + step + tabs.length) % tabs.length]!;
    setQuery({ tab: next.id });
    document.getElementById(`tab-${next.id}`)?.focus();
  };
  return (
    <div class="tabs">
      <div role="tablist" aria-label={label} onKeyDown={move}>
        {tabs.map((tab) => (
          <button
            key={tab.id}
            id={`tab-${tab.id}`}
            type="button"
            role="tab"
            aria-selected={tab === open}
            aria-controls={`panel-${tab.id}`}
            tabIndex={tab === open ? 0 : -1}
            class={tab.empty ? "quiet" : undefined}
            onClick={() => setQuery({ tab: tab.id })}
          >
            {tab.title}
          </button>
        ))}
      </div>
      <div role="tabpanel" id={`panel-${open.id}`} aria-labelledby={`tab-${open.id}`} tabIndex={0}>
        {open.empty ? <p class="quiet">{open.empty}</p> : open.show()}
      </div>
    </div>
  );
}
