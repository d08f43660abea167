import { about } from "../about";
import { connection, paused } from "../live";
import { Link } from "../router";
import { dialog, menu } from "./dialogs";
import { theme, turnTheme } from "./theme";

/** The top of every page: which control plane this is, and whether it is heard. */
export function Header() {
  return (
    <header class="top">
      <button type="button" class="menu small" aria-expanded={menu} aria-controls="sidebar" onClick={() => (menu.value = !menu.value)}>
        Menu
      </button>
      <Link to="/" class="brand">
        <img src="/icon.svg" alt="" width="24" height="24" /> Kuma
      </Link>
      <Told />
      <span class="filler" />
      <button type="button" class="small" aria-keyshortcuts="Control+K" onClick={() => (dialog.value = "palette")}>
        <span aria-hidden="true">⌕</span> <span class="where">Go to …</span> <kbd aria-hidden="true">Ctrl K</kbd>
      </button>
      <State />
      <button type="button" class="small" aria-label={`Colours: ${theme.value}`} title={`Colours: ${theme.value}`} onClick={turnTheme}>
        {{ system: "◐", light: "☀", dark: "☾" }[theme.value]}
      </button>
      <button type="button" class="small" aria-label="Help" aria-keyshortcuts="?" onClick={() => (dialog.value = "help")}>
        ?
      </button>
    </header>
  );
}

function Told() {
  const known = about.value;
  if (!known) return null;
  return (
    <span class="told quiet">
      {known.version} · {known.environment} · store {known.storeType}
    </span>
  );
}

const STATES = {
  live: ["●", "Live", "Pause: the pages stand still"],
  paused: ["❚❚", "Paused", "Go on: the pages follow the control plane again"],
  lost: ["✕", "Lost", "The control plane is not heard; the pages come back by themselves"],
} as const;

/** Whether the pages follow the control plane; a click has them stand still, or go on. */
function State() {
  const [mark, word, title] = STATES[connection.value];
  return (
    <button
      type="button"
      class={`small state state-${connection.value}`}
      title={title}
      aria-pressed={paused}
      onClick={() => (paused.value = !paused.value)}
    >
      <span aria-hidden="true">{mark}</span> <span aria-live="polite">{word}</span>
    </button>
  );
}
