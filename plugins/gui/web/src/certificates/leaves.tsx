import { Health } from "../health";
import { useLive } from "../live";
import { Age, type Column, Empty, listQuery, Loaded, Table, useListState } from "../parts";
import { type Listed, type Overview, overviewsOf } from "../proxy/answers";
import { inPath, Link } from "../router";

function columns(mesh: string): Column<Overview>[] {
  return [
    {
      id: "name",
      title: "Dataplane",
      sort: "name",
      cell: (row) => <Link to={inPath("meshes", mesh, "dataplanes", row.name)}>{row.name}</Link>,
    },
    { id: "ends", title: "Ends", sort: "certificate", cell: (row) => <Ends of={row} /> },
    { id: "status", title: "Status", sort: "status", cell: (row) => <Health value={row.status.state} /> },
    { id: "issued", title: "Made", wide: true, cell: (row) => <Age at={row.dataplaneInsight?.certificates?.issued} /> },
    { id: "problem", title: "Trouble", wide: true, cell: (row) => row.dataplaneInsight?.certificates?.problem ?? "" },
  ];
}

function Ends({ of: { dataplaneInsight } }: { of: Overview }) {
  return <Age at={dataplaneInsight?.certificates?.ends} never="none was issued" />;
}

/** The newest certificate of each dataplane, the one that ends next first. */
export function Leaves({ mesh }: { mesh: string }) {
  const state = useListState({ sort: "certificate" });
  const wanted = { kinds: ["Dataplane", "Mesh"], events: ["rotation"], mesh };
  const list = useLive<Listed<Overview>>(listQuery(overviewsOf(mesh), state), wanted);
  return (
    <Loaded of={list}>
      {({ items, total }) => (
        <Table
          label="Certificates of proxies"
          columns={columns(mesh)}
          rows={items}
          total={total}
          rowKey={(row) => row.name}
          state={state}
          hint="web status:online"
          empty={<Empty title="This mesh has no dataplanes yet" />}
        />
      )}
    </Loaded>
  );
}
