/** Which dialog is open over the page. */

import { signal } from "@preact/signals";

export const dialog = signal<"" | "palette" | "help">("");

/** Whether the sidebar is shown where there is no room for it. */
export const menu = signal(false);

export function closeDialog(): void {
  dialog.value = "";
}
