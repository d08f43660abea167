/** One mesh: how it is, what is in it, what to look at, what happened. */

import { useKinds } from "../kinds";
import { useLive } from "../live";
import type { MeshOverview } from "../overview/answer";
import { RecentChanges } from "../overview/changes";
import { Findings } from "../overview/findings";
import { KindTiles, MeshHealth, onlineNote, Tile } from "../overview/numbers";
import { MapPreview } from "../overview/preview";
import { Definition, Heading, Loaded, Tabs, Yaml } from "../parts";
import { inPath, route } from "../router";
import "../overview/overview.css";

export default function Page() {
  const { mesh = "" } = route.value.params;
  const found = useLive<MeshOverview>(`${inPath("meshes", mesh)}/overview`, { mesh });
  return (
    <>
      <Heading title={`Mesh ${mesh}`} />
      <Loaded of={found}>{(overview) => <Whole overview={overview} />}</Loaded>
    </>
  );
}

function Whole({ overview }: { overview: MeshOverview }) {
  const mesh = overview.name;
  return (
    <>
      <p><MeshHealth of={overview.health} /></p>
      <Counts overview={overview} />
      <Tabs
        label={`Mesh ${mesh}`}
        tabs={[
          { id: "overview", title: "Overview", show: () => <Now mesh={mesh} /> },
          { id: "resource", title: "Settings", show: () => <Resource overview={overview} /> },
        ]}
      />
    </>
  );
}

function Counts({ overview }: { overview: MeshOverview }) {
  const { name: mesh, dataplanes } = overview;
  const { data: kinds } = useKinds();
  return (
    <div class="tiles">
      <Tile to={inPath("meshes", mesh, "services")} count={overview.services} name="services" />
      <Tile to={inPath("meshes", mesh, "dataplanes")} count={dataplanes.total} name="dataplanes" note={onlineNote(dataplanes)} />
      <KindTiles mesh={mesh} kinds={kinds} counts={overview.resources} />
    </div>
  );
}

function Now({ mesh }: { mesh: string }) {
  return (
    <>
      <MapPreview mesh={mesh} />
      <div class="overview-columns">
        <Findings mesh={mesh} />
        <RecentChanges mesh={mesh} />
      </div>
    </>
  );
}

function Resource({ overview }: { overview: MeshOverview }) {
  const found = useLive<unknown>(inPath("meshes", overview.name), { kinds: ["Mesh"], mesh: overview.name });
  return (
    <>
      <Definition
        of={[
          ["mTLS", overview.mtls ? `on: the authority is ${overview.mtls}` : "off"],
          ["Metrics", overview.metrics ? "the proxies offer them" : "off"],
        ]}
      />
      <Loaded of={found}>{(resource) => <Yaml of={resource} />}</Loaded>
    </>
  );
}
