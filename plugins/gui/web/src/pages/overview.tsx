/** All meshes: numbers, health in a sentence, what happened, and the control plane itself. */

import { useKinds } from "../kinds";
import { useLive } from "../live";
import type { MeshOverview, Overview } from "../overview/answer";
import { RecentChanges } from "../overview/changes";
import { ControlPlane } from "../overview/control-plane";
import { MeshHealth, onlineNote, plural } from "../overview/numbers";
import { MapPreview } from "../overview/preview";
import { type Column, Empty, Heading, listQuery, Loaded, Table, useListState } from "../parts";
import { inPath, Link } from "../router";
import "../overview/overview.css";

export default function Page() {
  const state = useListState();
  const found = useLive<Overview>(listQuery("/overview", state));
  const kinds = useKinds().data;
  return (
    <>
      <Heading title="All meshes" />
      <Loaded of={found}>
        {(all) => (
          <>
            <Totals of={all} />
            <div class="meshes-table">
              <Table
                label="Meshes"
                columns={columns(all.items)}
                rows={all.items}
                total={all.total}
                rowKey={(row) => row.name}
                state={state}
                hint="a part of a name"
                empty={<Empty title="There is no mesh" />}
              />
            </div>
            {all.totals.meshes === 1 && all.items[0] && <MapPreview mesh={all.items[0].name} />}
          </>
        )}
      </Loaded>
      <div class="overview-columns">
        <RecentChanges />
        <ControlPlane />
      </div>
      {kinds?.missing?.map((kind) => (
        <p class="problem" key={kind.name}>
          {kind.count} of the kind {kind.name} are stored, and no plugin that is loaded brings it: install {kind.package || kind.plugin}.
        </p>
      ))}
    </>
  );
}

function Totals({ of: { totals } }: { of: Overview }) {
  const { dataplanes, resources } = totals;
  const policies = Object.values(resources).reduce((sum, count) => sum + count, 0);
  return (
    <div class="tiles">
      <div class="tile"><strong>{totals.meshes}</strong> {totals.meshes === 1 ? "mesh" : "meshes"}</div>
      <div class="tile">
        <strong>{dataplanes.total.toLocaleString("en-US")}</strong> dataplanes{" "}
        <span class="quiet">{onlineNote(dataplanes)}</span>
      </div>
      <div class="tile"><strong>{policies}</strong> policies</div>
    </div>
  );
}

/** The counts that the document of Kuma lists come first; what plugins bring has its column, too. */
function columns(items: MeshOverview[]): Column<MeshOverview>[] {
  const kinds = [...new Set(items.flatMap((item) => Object.keys(item.resources ?? {})))];
  return [
    { id: "name", title: "Mesh", sort: "name", cell: (row) => <Link to={inPath("meshes", row.name)}>{row.name}</Link> },
    { id: "health", title: "Health", cell: (row) => row.health && <MeshHealth of={row.health} /> },
    { id: "services", title: "Services", numeric: true, wide: true, cell: (row) => row.services },
    { id: "dataplanes", title: "Dataplanes", numeric: true, cell: (row) => row.dataplanes?.total },
    ...kinds.map((kind): Column<MeshOverview> => ({
      id: kind,
      title: plural(kind, 2),
      numeric: true,
      wide: true,
      cell: (row) => row.resources?.[kind],
    })),
  ];
}

