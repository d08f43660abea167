import { now, useLive } from "../live";
import { Heading, Loaded, type Tab, Tabs, Yaml } from "../parts";
import { span } from "../parts/age";
import { type Authority, ofMesh, type Overview, overviewsOf, rejections } from "../proxy/answers";
import { ProxyCertificate, whyNone } from "../proxy/certificate";
import { Connections, NEVER } from "../proxy/connections";
import { Picture } from "../proxy/picture";
import { GoverningPolicies } from "../proxy/policies";
import { Standing, WhyNotCalled } from "../proxy/standing";
import { StartCommand } from "../proxy/start";
import { Words } from "../proxy/words";
import { inPath, Link, route } from "../router";
import "../proxy/proxy.css";

/** One dataplane, whether its proxy is there or not: just then one needs what it should be. */
export default function Dataplane() {
  const { mesh = "", name = "" } = route.value.params;
  const found = useLive<Overview>(overviewsOf(mesh, name), { kinds: ["Dataplane"], mesh });
  const authority = useLive<Authority>(ofMesh(mesh, "authority"), { kinds: ["Mesh"], mesh });
  return (
    <>
      <Heading title={name}>{found.data && <Standing of={found.data} />}</Heading>
      <Loaded of={found}>
        {(data) => (
          <>
            <Told of={data} />
            <Tabs label={`About ${name}`} tabs={tabs(data, authority.data, found.retry)} />
          </>
        )}
      </Loaded>
    </>
  );
}

/** The status in a sentence, and Envoy's own words. */
function Told({ of: found }: { of: Overview }) {
  const { mesh, name, status, dataplaneInsight } = found;
  const refused = rejections(dataplaneInsight);
  return (
    <>
      <p>
        {status.state}
        {status.since && <For since={status.since} />}
        {status.reason && <>: {status.reason}</>}
      </p>
      <WhyNotCalled of={found} />
      <Words of={refused} title="What its Envoy refuses" />
      {refused.length > 0 && <Link to={inPath("meshes", mesh, "dataplanes", name, "xds")}>Where that comes from</Link>}
    </>
  );
}

function For({ since }: { since: string }) {
  return (
    <>
      {" "}
      for <time dateTime={since} title={since}>{span((now.value - Date.parse(since)) / 1_000)}</time>
    </>
  );
}

function tabs(found: Overview, authority: Authority | undefined, again: () => void): Tab[] {
  const { mesh, name, dataplane, dataplaneInsight: insight } = found;
  const never = insight?.subscriptions?.length ? undefined : NEVER;
  return [
    { id: "overview", title: "Overview", show: () => <Picture of={found} /> },
    { id: "policies", title: "Policies", show: () => <GoverningPolicies mesh={mesh} name={name} /> },
    { id: "connections", title: "Connections", empty: never, show: () => <Connections of={insight ?? {}} again={again} /> },
    {
      id: "certificate",
      title: "Certificate",
      empty: whyNone(insight?.certificates, authority),
      show: () => <ProxyCertificate of={insight?.certificates ?? {}} mesh={mesh} />,
    },
    { id: "start", title: "Start command", show: () => <StartCommand of={found} /> },
    { id: "yaml", title: "YAML", show: () => <Yaml of={{ type: "Dataplane", mesh, name, ...dataplane }} /> },
  ];
}
