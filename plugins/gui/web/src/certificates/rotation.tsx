import { Age, Definition } from "../parts";
import type { Rotation } from "../proxy/answers";
import { inPath, Link } from "../router";

const STAGES: Record<string, string> = {
  trusting: "1 of 2: proxies learn to trust the new root, and the old one signs",
  signing: "2 of 2: the new root signs, and the old one is trusted until nobody shows a certificate of it",
};

/** How far the exchange of a root is, and who has not followed yet. */
export function RotationProgress({ of: { stage, since, settled, behind }, mesh }: { of: Rotation; mesh: string }) {
  const planes = Object.values(settled);
  const done = planes.filter(Boolean).length;
  return (
    <section aria-label="Rotation">
      <h2>A rotation goes on</h2>
      <Definition
        of={[
          ["Stage", STAGES[stage] ?? stage],
          ["Since", <Age at={since} />],
          ["Control planes", `all proxies of ${done} of ${planes.length} have acknowledged it`],
          ["Waits for", <Behind count={behind.count} names={behind.names} mesh={mesh} />],
        ]}
      />
    </section>
  );
}

function Behind({ count, names, mesh }: { count: number; names: string[]; mesh: string }) {
  if (!count) return <>no proxy that is connected here</>;
  return (
    <span class="beside">
      <span>{count === 1 ? "1 proxy:" : `${count} proxies:`}</span>
      {names.map((name) => (
        <Link key={name} to={inPath("meshes", mesh, "dataplanes", name)}>
          {name}
        </Link>
      ))}
      {count > names.length && <span>and {count - names.length} more</span>}
    </span>
  );
}
