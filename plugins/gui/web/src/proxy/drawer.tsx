import { useLive } from "../live";
import { Age, Definition, Drawer, Loaded } from "../parts";
import { inPath, Link, setQuery } from "../router";
import { counted, type Overview, overviewsOf, rejections, tagSets } from "./answers";
import { Standing } from "./standing";
import { TagList } from "./tags";
import { Words } from "./words";

interface Props {
  mesh: string;
  name: string;
  /** What the list knows already; it may be on another page of the list. */
  row: Overview | undefined;
}

/** The row that is open, in short, with the way to everything else. */
export function ProxyDrawer({ mesh, name, row }: Props) {
  const found = useLive<Overview>(row ? null : overviewsOf(mesh, name), { kinds: ["Dataplane"], mesh });
  return (
    <Drawer title={name} close={() => setQuery({ row: null })}>
      {row ? <Summary of={row} /> : <Loaded of={found}>{(data) => <Summary of={data} />}</Loaded>}
    </Drawer>
  );
}

function Summary({ of: found }: { of: Overview }) {
  const { status, dataplaneInsight: insight } = found;
  const place = inPath("meshes", found.mesh, "dataplanes", found.name);
  return (
    <>
      <Definition
        of={[
          ["Status", <Standing of={found} />],
          ["Since", status.since && <Age at={status.since} />],
          ["Why", status.reason],
          ["Others do not call it", found.presence?.reason],
          ["Tags", <TagList of={tagSets(found)} />],
          ["Updates sent", counted(insight, "responsesSent").toLocaleString("en-US")],
          ["Updates rejected", counted(insight, "responsesRejected").toLocaleString("en-US")],
          ["Certificate ends", insight?.certificates?.ends && <Age at={insight.certificates.ends} />],
        ]}
      />
      <Words of={rejections(insight)} title="What its Envoy says" head="h3" />
      <p class="beside">
        <Link to={place}>Everything about it</Link>
        <Link to={`${place}/xds`}>Its Envoy’s configuration</Link>
      </p>
    </>
  );
}
