/** What was written lately, and which proxies came and went. */

import { useKinds } from "../kinds";
import type { Kinds } from "../kinds";
import { useLive } from "../live";
import { Age, Loaded } from "../parts";
import { address, Link } from "../router";
import type { Change } from "./answer";
import { subjectPlace } from "./findings";

const SHOWN = 15;

interface Changes {
  since: string;
  items: Change[];
}

/** Of one mesh, or of all. */
export function RecentChanges({ mesh }: { mesh?: string }) {
  const found = useLive<Changes>(address("/changes", { mesh, size: SHOWN }), mesh ? { mesh } : {});
  const { data: kinds } = useKinds();
  return (
    <section aria-labelledby="changes">
      <h2 id="changes">Recent changes</h2>
      <Loaded of={found}>
        {({ since, items }) => (
          <>
            {items.length > 0 && (
              <ol class="changes">
                {items.map((item, place) => (
                  <ChangeItem key={`${item.at} ${place}`} change={item} kinds={kinds} showsMesh={!mesh} />
                ))}
              </ol>
            )}
            {items.length < SHOWN && (
              <p class="quiet">
                {items.length === 0 && "Nothing changed. "}
                The control plane remembers changes since it started, <Age at={since} />.
              </p>
            )}
          </>
        )}
      </Loaded>
    </section>
  );
}

function ChangeItem({ change, kinds, showsMesh }: { change: Change; kinds: Kinds | undefined; showsMesh: boolean }) {
  const { kind, mesh = "", name, op } = change;
  const place = op === "delete" || !kinds ? "" : subjectPlace(mesh, kinds, kind, name);
  return (
    <li>
      <span class="quiet"><Age at={change.at} /></span> {kind} {place ? <Link to={place}>{name}</Link> : name}
      {showsMesh && mesh && mesh !== name && <span class="quiet"> in {mesh}</span>} {what(change)}
    </li>
  );
}

function what({ type, op, state, reason }: Change): string {
  if (type === "rejection") return `refuses a configuration: ${reason ?? ""}`;
  if (type === "status") return reason && state !== "Online" ? `is ${state}: ${reason}` : `is ${state}`;
  return op === "delete" ? "was deleted" : "was written";
}
