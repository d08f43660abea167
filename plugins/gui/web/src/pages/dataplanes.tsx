import { Health } from "../health";
import { useLive } from "../live";
import { type Column, Empty, Heading, listQuery, Loaded, Table, useListState } from "../parts";
import { route } from "../router";

interface Overview {
  name: string;
  status: { state: string; since?: string; reason?: string };
}

const COLUMNS: Column<Overview>[] = [
  { id: "name", title: "Name", sort: "name", cell: (row) => row.name },
  { id: "status", title: "Status", sort: "status", cell: (row) => <Health value={row.status.state} /> },
];

export default function Dataplanes() {
  const { mesh = "" } = route.value.params;
  const state = useListState();
  const path = listQuery(`/meshes/${encodeURIComponent(mesh)}/dataplanes+insights`, state);
  const list = useLive<{ items: Overview[]; total: number }>(path, { kinds: ["Dataplane"], mesh });
  return (
    <>
      <Heading title="Dataplanes" />
      <Loaded of={list}>
        {({ items, total }) => (
          <Table
            label="Dataplanes"
            columns={COLUMNS}
            rows={items}
            total={total}
            rowKey={(row) => row.name}
            state={state}
            hint="web status:offline tag:zone=east"
            empty={<Empty title="This mesh has no dataplanes yet" />}
          />
        )}
      </Loaded>
    </>
  );
}
