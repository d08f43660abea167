import { Link } from "../router";
import { Dialog } from "./dialog";
import { closeDialog } from "./dialogs";
import { PLACES } from "./keys";

const KEYS: [key: string, does: string][] = [
  ["/", "Search in this page's list"],
  ["Ctrl K", "Go to a page, a mesh, a service, a dataplane or a policy"],
  ...Object.entries(PLACES).map(([key, [title]]): [string, string] => [`g ${key}`, title]),
  ["Esc", "Close what lies on top"],
  ["?", "This help"],
];

/** The keys, and the way back to the first steps. */
export default function Help() {
  return (
    <Dialog title="Help">
      <h2>Keys</h2>
      <dl class="keys">
        {KEYS.map(([key, does]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
      <p>
        <Link to="/first-run" onClick={closeDialog}>
          First steps
        </Link>
      </p>
      <p class="quiet">These pages read and change nothing. kumactl and the REST API do.</p>
      <button type="button" onClick={closeDialog}>
        Close
      </button>
    </Dialog>
  );
}
