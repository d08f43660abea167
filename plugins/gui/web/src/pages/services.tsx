import { useLive } from "../live";
import type { Service } from "../map/answer";
import { type Column, Empty, Heading, listQuery, Loaded, Table, useListState } from "../parts";
import { type Listed, ofMesh } from "../proxy/answers";
import { TagList } from "../proxy/tags";
import { inPath, Link, route } from "../router";
import { OneService } from "../services/one";
import { InstanceCounts } from "../services/instances";
import "../proxy/proxy.css";

/** All services of a mesh, or the one that the path names. */
export default function Services() {
  const { mesh = "", name } = route.value.params;
  return name === undefined ? <All mesh={mesh} /> : <OneService mesh={mesh} name={name} />;
}

function columns(mesh: string): Column<Service>[] {
  return [
    {
      id: "name",
      title: "Service",
      sort: "name",
      cell: (row) => <Link to={inPath("meshes", mesh, "services", row.name)}>{row.name}</Link>,
    },
    { id: "instances", title: "Instances", sort: "instances", cell: (row) => <InstanceCounts of={row} /> },
    { id: "tags", title: "Tags", wide: true, cell: (row) => <TagList of={tagsOf(row)} /> },
  ];
}

function tagsOf({ tags }: Service) {
  return Object.entries(tags).flatMap(([key, values]) => values.map((value) => ({ [key]: value })));
}

function All({ mesh }: { mesh: string }) {
  const state = useListState();
  const list = useLive<Listed<Service>>(listQuery(ofMesh(mesh, "services"), state), { mesh });
  return (
    <>
      <Heading title="Services" />
      <Loaded of={list}>
        {({ items, total }) => (
          <Table
            label="Services"
            columns={columns(mesh)}
            rows={items}
            total={total}
            rowKey={(row) => row.name}
            state={state}
            hint="part of a name"
            empty={
              <Empty title="This mesh has no services yet">
                <p>A service is there as soon as a Dataplane has an inbound with its name as the tag service.</p>
              </Empty>
            }
          />
        )}
      </Loaded>
    </>
  );
}
