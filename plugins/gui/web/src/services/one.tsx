import { useKinds } from "../kinds";
import { useLive } from "../live";
import type { Call, Service } from "../map/answer";
import { type Column, Empty, Heading, listQuery, Loaded, Table, type Tab, Tabs, useListState } from "../parts";
import { type Listed, type Overview, ofMesh, overviewsOf, tagSets } from "../proxy/answers";
import { Standing } from "../proxy/standing";
import { TagList } from "../proxy/tags";
import { inPath, Link } from "../router";
import { Calls } from "./calls";
import { InstanceCounts } from "./instances";

/** `GET /meshes/{mesh}/services/{name}`. */
interface ServiceDetail extends Service {
  calls: Call[];
  calledBy: Call[];
}

/** One service: its instances, who calls it, and whom it calls. */
export function OneService({ mesh, name }: { mesh: string; name: string }) {
  const found = useLive<ServiceDetail>(ofMesh(mesh, "services", name), { mesh });
  return (
    <>
      <Heading title={name}>{found.data && <InstanceCounts of={found.data} />}</Heading>
      <Loaded of={found}>{(data) => <About of={data} mesh={mesh} />}</Loaded>
    </>
  );
}

function About({ of: found, mesh }: { of: ServiceDetail; mesh: string }) {
  const kinds = useKinds().data;
  const { name, isGhost, calledBy, calls } = found;
  const tabs: Tab[] = [
    {
      id: "instances",
      title: `Instances ${found.instances.total}`,
      empty: isGhost ? "No dataplane offers it: somebody calls it, or a route leads to it." : undefined,
      show: () => <InstanceList mesh={mesh} service={name} />,
    },
    {
      id: "called-by",
      title: `Called by ${calledBy.length}`,
      empty: calledBy.length ? undefined : "No dataplane has an outbound to it.",
      show: () => <Calls of={calledBy} mesh={mesh} kinds={kinds} other="source" label={`Who calls ${name}`} />,
    },
    {
      id: "calls",
      title: `Calls ${calls.length}`,
      empty: calls.length ? undefined : "No instance of it has an outbound.",
      show: () => <Calls of={calls} mesh={mesh} kinds={kinds} other="destination" label={`Whom ${name} calls`} />,
    },
  ];
  return (
    <>
      <p class="beside">
        <Link to={inPath("meshes", mesh, "map")} query={{ focus: name }}>
          On the map
        </Link>
      </p>
      <Tabs label={`About ${name}`} tabs={tabs} />
    </>
  );
}

function instanceColumns(mesh: string): Column<Overview>[] {
  return [
    {
      id: "name",
      title: "Dataplane",
      sort: "name",
      cell: (row) => <Link to={inPath("meshes", mesh, "dataplanes", row.name)}>{row.name}</Link>,
    },
    { id: "status", title: "Status", sort: "status", cell: (row) => <Standing of={row} /> },
    { id: "tags", title: "Tags", wide: true, cell: (row) => <TagList of={tagSets(row)} /> },
  ];
}

/** A service may have thousands of instances: the server cuts them into pages. */
function InstanceList({ mesh, service }: { mesh: string; service: string }) {
  const state = useListState({ sort: "status" });
  const path = listQuery(overviewsOf(mesh), { ...state, q: "" });
  const list = useLive<Listed<Overview>>(`${path}&tag=${encodeURIComponent(`service:${service}`)}`, {
    kinds: ["Dataplane"],
    mesh,
  });
  return (
    <Loaded of={list}>
      {({ items, total }) => (
        <Table
          label="Instances"
          columns={instanceColumns(mesh)}
          rows={items}
          total={total}
          rowKey={(row) => row.name}
          state={state}
          empty={<Empty title="No dataplane offers it any more" />}
        />
      )}
    </Loaded>
  );
}
