import type { Kinds } from "../kinds";
import { Badge, Yaml } from "../parts";
import { route, setQuery } from "../router";
import type { EnvoyResource, Taken } from "./answers";
import { Origin } from "./trouble";

interface Props {
  of: EnvoyResource[];
  label: string;
  mesh: string;
  kinds: Kinds | undefined;
  refused: Taken[];
}

/** The resources of one type by name; one of them is open. What stands in it is made when it is opened. */
export function ResourceList({ of: all, label, mesh, kinds, refused }: Props) {
  const { query } = route.value;
  const words = (query.get("q") ?? "").trim().toLowerCase();
  const open = query.get("resource");
  const found = all.filter((item) => item.name.toLowerCase().includes(words));
  return (
    <>
      <input
        class="search"
        type="search"
        aria-label={`Search ${label}`}
        placeholder="part of a name"
        value={query.get("q") ?? ""}
        onInput={(event) => setQuery({ q: event.currentTarget.value })}
      />
      <p role="status">
        {found.length} of {all.length} {label.toLowerCase()}
      </p>
      <ul class="envoy-resources" aria-label={label}>
        {found.map((item) => (
          <li key={item.name}>
            <Head of={item} isOpen={item.name === open} refused={refused} />
            {item.name === open && <Body of={item} mesh={mesh} kinds={kinds} refused={refused} />}
          </li>
        ))}
      </ul>
    </>
  );
}

function about(item: EnvoyResource, refused: Taken[]): Taken[] {
  return refused.filter((taken) => taken.culprits.includes(item.name));
}

function Head({ of: item, isOpen, refused }: { of: EnvoyResource; isOpen: boolean; refused: Taken[] }) {
  return (
    <button
      type="button"
      class="row-opens"
      aria-expanded={isOpen}
      onClick={() => setQuery({ resource: isOpen ? null : item.name })}
    >
      {item.name} {about(item, refused).length > 0 && <Badge tone="bad">refused</Badge>}
    </button>
  );
}

function Body({ of: item, mesh, kinds, refused }: Omit<Props, "of" | "label"> & { of: EnvoyResource }) {
  return (
    <div>
      {about(item, refused).map((taken) => (
        <pre class="words" key={taken.rejection} tabIndex={0} aria-label="Envoy’s words">
          {taken.rejection}
        </pre>
      ))}
      <p>
        <Origin of={item} mesh={mesh} kinds={kinds} /> <span class="quiet">version {item.version}</span>
      </p>
      <Yaml of={item.config} label={item.name} />
    </div>
  );
}
