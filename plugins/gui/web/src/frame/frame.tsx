import { Shown } from "./shown";

/** What stands around every page. */
export function Frame() {
  return (
    <main id="main" tabIndex={-1}>
      <Shown />
    </main>
  );
}
