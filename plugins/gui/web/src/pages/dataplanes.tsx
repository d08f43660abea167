import { useLive } from "../live";
import { Age, type Column, Empty, Heading, listQuery, Loaded, Problem, Table, useListState } from "../parts";
import { counted, type Listed, ofMesh, type Overview, overviewsOf, tagSets } from "../proxy/answers";
import { ProxyDrawer } from "../proxy/drawer";
import { Standing } from "../proxy/standing";
import { TagList } from "../proxy/tags";
import { Link, route } from "../router";
import "../proxy/proxy.css";

const COLUMNS: Column<Overview>[] = [
  { id: "name", title: "Name", sort: "name", cell: (row) => row.name },
  { id: "status", title: "Status", sort: "status", cell: (row) => <Standing of={row} /> },
  { id: "since", title: "Since", cell: (row) => <Age at={row.status.since} /> },
  { id: "tags", title: "Tags", sort: "service", wide: true, cell: (row) => <TagList of={tagSets(row)} /> },
  {
    id: "sent",
    title: "Updates",
    numeric: true,
    wide: true,
    cell: (row) => counted(row.dataplaneInsight, "responsesSent").toLocaleString("en-US"),
  },
  { id: "rejected", title: "Rejected", numeric: true, wide: true, cell: (row) => <Rejected of={row} /> },
  {
    id: "certificate",
    title: "Certificate ends",
    sort: "certificate",
    wide: true,
    cell: (row) => <Age at={row.dataplaneInsight?.certificates?.ends} never="none" />,
  },
];

function Rejected({ of: row }: { of: Overview }) {
  const times = counted(row.dataplaneInsight, "responsesRejected");
  return times ? <strong>{times.toLocaleString("en-US")}</strong> : <span class="quiet">0</span>;
}

/** All dataplanes of a mesh, searched, sorted and cut by the server. */
export default function Dataplanes() {
  const { mesh = "" } = route.value.params;
  const state = useListState();
  const list = useLive<Listed<Overview>>(listQuery(overviewsOf(mesh), state), { kinds: ["Dataplane"], mesh });
  return (
    <>
      <Heading title="Dataplanes" />
      <Loaded of={list}>
        {({ items, total }) => (
          <>
            <Table
              label="Dataplanes"
              columns={COLUMNS}
              rows={items}
              total={total}
              rowKey={(row) => row.name}
              state={state}
              hint="web status:offline tag:zone=east"
              opens
              empty={<None mesh={mesh} />}
            />
            {state.row && <ProxyDrawer mesh={mesh} name={state.row} row={items.find((item) => item.name === state.row)} />}
          </>
        )}
      </Loaded>
    </>
  );
}

/**
 * A list of a mesh that does not exist is empty, too: the reader is told which of both it is. What was read stays while the
 * control plane is away.
 */
function None({ mesh }: { mesh: string }) {
  const found = useLive<object>(ofMesh(mesh), { kinds: ["Mesh"], mesh });
  if (found.error && (!found.data || found.error.status === 404)) return <Problem error={found.error} retry={found.retry} />;
  return (
    <Empty title="This mesh has no dataplanes yet">
      <p>
        A Dataplane says where one instance of a service listens; its proxy stands beside it.{" "}
        <Link to="/first-run">How to add one</Link>
      </p>
    </Empty>
  );
}
