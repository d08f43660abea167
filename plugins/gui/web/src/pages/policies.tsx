/** All resources of a kind in a mesh; a kind that a plugin brings has the same page. */

import { type Kind, spaced, useKinds } from "../kinds";
import { useLive } from "../live";
import { plural } from "../overview/numbers";
import { type Column, Empty, Heading, listQuery, Loaded, Problem, Table, useListState } from "../parts";
import type { Resource, Summary } from "../policies/answer";
import { cellText } from "../policies/cells";
import { Fields } from "../policies/fields";
import { PolicyState, scopeText, selectorsText } from "../policies/words";
import { inPath, Link, route } from "../router";

export default function Page() {
  const { mesh = "", kind: path = "" } = route.value.params;
  const { data, error } = useKinds();
  const kind = data?.kinds.find((item) => item.path === path);
  if (kind) return <List mesh={mesh} kind={kind} />;
  return (
    <>
      <Heading title="Policies" />
      {error && <Problem error={error} />}
      {data && (
        <Empty title={`No kind has the path “${path}”`}>
          <p>A plugin may bring it that is not loaded; the sidebar lists the kinds that there are.</p>
        </Empty>
      )}
    </>
  );
}

function List({ mesh, kind }: { mesh: string; kind: Kind }) {
  const state = useListState();
  const wanted = { kinds: [kind.name], mesh };
  const resources = useLive<{ items: Resource[]; total: number }>(listQuery(inPath("meshes", mesh, kind.path), state), wanted);
  const summaries = useLive<{ items: Summary[] }>(
    kind.policy ? listQuery(inPath("meshes", mesh, "policies", kind.path), state) : null,
    { mesh },
  );
  const did = new Map(summaries.data?.items.map((item) => [item.name, item]));
  return (
    <>
      <Heading title={plural(kind.name, 2)} />
      {kind.policy && <p class="quiet">{scopeText(kind.policy)}</p>}
      <Loaded of={resources}>
        {({ items, total }) => (
          <Table
            label={plural(kind.name, 2)}
            columns={[...ownColumns(mesh, kind), ...(kind.policy ? policyColumns(did) : [])]}
            rows={items}
            total={total}
            rowKey={(row) => row.name}
            state={state}
            hint="a part of a name"
            empty={<Nothing kind={kind} mesh={mesh} />}
          />
        )}
      </Loaded>
    </>
  );
}

function ownColumns(mesh: string, kind: Kind): Column<Resource>[] {
  const place = (name: string) => inPath("meshes", mesh, "policies", kind.path, name);
  return [
    { id: "name", title: "Name", sort: "name", cell: (row) => <Link to={place(row.name)}>{row.name}</Link> },
    ...kind.columns.map((column): Column<Resource> => ({
      id: `column-${column.header}`,
      title: titled(column.header),
      cell: (row) => cellText(column, row),
    })),
  ];
}

/** `TEXT` of a table in a terminal is `Text` here. */
function titled(header: string): string {
  return header.slice(0, 1) + header.slice(1).toLowerCase();
}

function policyColumns(did: ReadonlyMap<string, Summary>): Column<Resource>[] {
  const of = (row: Resource): Summary | undefined => did.get(row.name);
  return [
    { id: "state", title: "State", cell: (row) => <StateCell of={of(row)} /> },
    { id: "sources", title: "From", wide: true, cell: (row) => selectorsText(of(row)?.sources) },
    { id: "destinations", title: "To", wide: true, cell: (row) => selectorsText(of(row)?.destinations) },
    { id: "connections", title: "Calls", numeric: true, cell: (row) => of(row)?.connections },
    { id: "losesAt", title: "Loses at", numeric: true, wide: true, cell: (row) => of(row)?.losesAt },
    { id: "proxies", title: "Proxies", numeric: true, wide: true, cell: (row) => of(row)?.proxies },
  ];
}

function StateCell({ of: found }: { of: Summary | undefined }) {
  return found ? <PolicyState of={found} /> : null;
}

function Nothing({ kind, mesh }: { kind: Kind; mesh: string }) {
  return (
    <Empty title={`This mesh has no ${spaced(kind.name)}`}>
      <p><code>kumactl apply -f FILE</code> makes one, of the type {kind.name} in the mesh {mesh}. Its fields:</p>
      <Fields kind={kind.name} />
    </Empty>
  );
}
