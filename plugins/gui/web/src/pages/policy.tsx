/** One resource of a kind: what it does, its YAML, and what its fields mean. */

import { type Kind, spaced, useKinds } from "../kinds";
import { useLive } from "../live";
import { Empty, Heading, Loaded, Problem, Tabs, Yaml } from "../parts";
import type { Detail } from "../policies/answer";
import { Does } from "../policies/does";
import { Fields } from "../policies/fields";
import { inPath, route } from "../router";

export default function Page() {
  const { mesh = "", kind: path = "", name = "" } = route.value.params;
  const { data, error } = useKinds();
  const kind = data?.kinds.find((item) => item.path === path);
  return (
    <>
      <Heading title={kind ? `${spaced(kind.name)} ${name}` : name} />
      {error && <Problem error={error} />}
      {kind && <Whole mesh={mesh} kind={kind} name={name} />}
      {data && !kind && <Empty title={`No kind has the path “${path}”`} />}
    </>
  );
}

function Whole({ mesh, kind, name }: { mesh: string; kind: Kind; name: string }) {
  const resource = useLive<unknown>(inPath("meshes", mesh, kind.path, name), { kinds: [kind.name], mesh });
  const detail = useLive<Detail>(kind.policy ? inPath("meshes", mesh, "policies", kind.path, name) : null, { mesh });
  const empty = !kind.policy ? `A ${spaced(kind.name)} changes no proxy by itself: the plugin ${kind.plugin} reads it.` : undefined;
  return (
    <Loaded of={resource}>
      {(found) => (
        <Tabs
          label={name}
          tabs={[
            {
              id: "does",
              title: "What it does",
              ...(empty ? { empty } : {}),
              show: () => <Loaded of={detail}>{(one) => <Does mesh={mesh} path={kind.path} detail={one} />}</Loaded>,
            },
            { id: "yaml", title: "YAML", show: () => <Yaml of={found} /> },
            { id: "fields", title: "Fields", show: () => <Fields kind={kind.name} /> },
          ]}
        />
      )}
    </Loaded>
  );
}
