import { useSignal } from "@preact/signals";
import type { ComponentType } from "preact";
import { useEffect } from "preact/hooks";
import { Banner } from "./banner";
import { dialog } from "./dialogs";
import { Header } from "./header";
import { Shown } from "./shown";
import { Sidebar } from "./sidebar";

/** What stands around every page. */
export function Frame() {
  return (
    <>
      <a class="skip" href="#main" onClick={toMain}>
        Skip to the page
      </a>
      <Header />
      <Banner />
      <div class="below">
        <Sidebar />
        <main id="main" tabIndex={-1}>
          <Shown />
        </main>
      </div>
      {dialog.value === "palette" && <Fetched key="palette" load={() => import("./palette")} />}
      {dialog.value === "help" && <Fetched key="help" load={() => import("./help")} />}
    </>
  );
}

/** The address holds the state of the page, so that a fragment has no place there. */
function toMain(event: Event): void {
  event.preventDefault();
  document.getElementById("main")!.focus();
}

/** A part that few readers need, fetched when they do. */
function Fetched({ load }: { load: () => Promise<{ default: ComponentType }> }) {
  const part = useSignal<{ view?: ComponentType }>({});
  useEffect(() => void load().then((module) => (part.value = { view: module.default })), []);
  const View = part.value.view;
  return View ? <View /> : null;
}
