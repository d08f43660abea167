/** Light or dark: as the system has it, unless the reader chose. */

import { effect, signal } from "@preact/signals";

export type Theme = "system" | "light" | "dark";

const KEPT_AS = "kuma.theme";
const THEMES: Theme[] = ["system", "light", "dark"];

export const theme = signal<Theme>(THEMES.find((name) => name === localStorage.getItem(KEPT_AS)) ?? "system");

/** The next one, round and round. */
export function turnTheme(): void {
  theme.value = THEMES[(THEMES.indexOf(theme.peek()) + 1) % THEMES.length]!;
  localStorage.setItem(KEPT_AS, theme.peek());
}

export function startTheme(): void {
  effect(() => {
    if (theme.value === "system") delete document.documentElement.dataset["theme"];
    else document.documentElement.dataset["theme"] = theme.value;
  });
}
