import { Health } from "../health";
import { useLive } from "../live";
import { type Column, Empty, Loaded, Table } from "../parts";
import { type Listed, type Overview, overviewsOf, tagSets } from "../proxy/answers";
import { TagList } from "../proxy/tags";
import { inPath, Link } from "../router";
import { Warnings } from "./warnings";

const MOST = 10;

const COLUMNS: Column<Overview>[] = [
  {
    id: "name",
    title: "Dataplane",
    cell: (row) => <Link to={inPath("meshes", row.mesh, "dataplanes", row.name)}>{row.name}</Link>,
  },
  { id: "status", title: "Status", cell: (row) => <Health value={row.status.state} /> },
  { id: "tags", title: "Tags", wide: true, cell: (row) => <TagList of={tagSets(row)} /> },
  { id: "reason", title: "Why", wide: true, cell: (row) => row.status.reason ?? "" },
];

/** The dataplanes of the mesh as they come and turn online, those with trouble first. Nobody has to press anything. */
export function Watch({ mesh }: { mesh: string }) {
  const path = `${overviewsOf(mesh)}?size=${MOST}&sort=status`;
  const list = useLive<Listed<Overview>>(path, { kinds: ["Dataplane"], mesh });
  return (
    <>
      <Loaded of={list}>
        {({ items, total }) => (
          <>
            <p role="status">{sentence(total)}</p>
            <Table
              label="Dataplanes"
              columns={COLUMNS}
              rows={items}
              rowKey={(row) => row.name}
              empty={
                <Empty title="None is there yet">
                  <p>This page waits with you. You may go on without one, too.</p>
                </Empty>
              }
            />
          </>
        )}
      </Loaded>
      <Warnings mesh={mesh} />
    </>
  );
}

function sentence(total: number): string {
  if (total === 0) return "The mesh has no dataplanes.";
  if (total === 1) return "The mesh has one dataplane.";
  return `The mesh has ${total.toLocaleString("en-US")} dataplanes${total > MOST ? `, of which these are ${MOST}` : ""}.`;
}
