/** What an operator should look at, as the control plane tells it: what is wrong, and what to do. */

import { useSignal } from "@preact/signals";
import { useKinds } from "../kinds";
import type { Kinds } from "../kinds";
import { useLive } from "../live";
import { Badge, Empty, Loaded } from "../parts";
import { policyPlace } from "../policies/places";
import { inPath, Link } from "../router";
import type { Finding } from "./answer";
import { Prose } from "./prose";

const SHOWN = 20;
const TONES = { error: "bad", warning: "warn", info: "plain" } as const;

export function Findings({ mesh }: { mesh: string }) {
  const found = useLive<{ items: Finding[] }>(`${inPath("meshes", mesh)}/findings`, { mesh });
  return (
    <section aria-labelledby="findings">
      <h2 id="findings">To look at</h2>
      <Loaded of={found}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title="Nothing: the control plane finds no trouble in this mesh" />
          ) : (
            <List mesh={mesh} items={items} />
          )
        }
      </Loaded>
    </section>
  );
}

/** The worst come first; a mesh without its proxies has hundreds. */
function List({ mesh, items }: { mesh: string; items: Finding[] }) {
  const { data: kinds } = useKinds();
  const showsAll = useSignal(false);
  const shown = showsAll.value ? items : items.slice(0, SHOWN);
  return (
    <>
      <ul class="findings">
        {shown.map((item) => (
          <FindingItem key={item.id + item.subject.kind + item.subject.name + item.text} mesh={mesh} kinds={kinds} finding={item} />
        ))}
      </ul>
      {shown.length < items.length && (
        <button type="button" onClick={() => (showsAll.value = true)}>
          Show all {items.length}
        </button>
      )}
    </>
  );
}

function FindingItem({ mesh, kinds, finding }: { mesh: string; kinds: Kinds | undefined; finding: Finding }) {
  const { kind, name } = finding.subject;
  return (
    <li class="card">
      <p>
        <Badge tone={TONES[finding.level]}>{finding.level}</Badge> {kind}{" "}
        <Link to={subjectPlace(mesh, kinds, kind, name)}>{name}</Link>: {finding.text}
      </p>
      <p class="quiet">What to do: <Prose text={finding.advice} /></p>
    </li>
  );
}

/** The page of what a finding or a change is about. */
export function subjectPlace(mesh: string, kinds: Kinds | undefined, kind: string, name: string): string {
  if (kind === "Mesh") return inPath("meshes", name);
  if (kind === "Dataplane") return inPath("meshes", mesh, "dataplanes", name);
  if (kind === "Service") return inPath("meshes", mesh, "services", name);
  return policyPlace(mesh, kinds, kind, name);
}
