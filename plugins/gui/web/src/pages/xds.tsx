import { useKinds } from "../kinds";
import { useLive } from "../live";
import { Empty, Heading, Loaded, Tabs } from "../parts";
import { type Dump, type DumpedProxy, type EnvoyResource, ofMesh, TYPE_NAMES, TYPES } from "../proxy/answers";
import { ResourceList } from "../proxy/resource-list";
import { refusalsOf, Trouble } from "../proxy/trouble";
import { inPath, Link, route } from "../router";
import "../proxy/proxy.css";

/** What the control plane sends to a dataplane's proxies, what each took of it, and what one refuses. */
export default function Xds() {
  const { mesh = "", name = "" } = route.value.params;
  const dump = useLive<Dump>(ofMesh(mesh, "dataplanes", name, "xds"), { mesh });
  return (
    <>
      <Heading title={`Envoy’s configuration of ${name}`}>
        <button type="button" class="small" onClick={dump.retry}>
          Read again
        </button>
        <Link to={inPath("meshes", mesh, "dataplanes", name)}>The dataplane</Link>
      </Heading>
      <Loaded of={dump}>{({ proxies }) => <Proxies of={proxies} mesh={mesh} />}</Loaded>
    </>
  );
}

/** There is one proxy nearly always; of several that share a Dataplane the reader chooses. */
function Proxies({ of: proxies, mesh }: { of: DumpedProxy[]; mesh: string }) {
  const wanted = Number(route.value.query.get("proxy") ?? 1);
  const proxy = proxies[wanted - 1] ?? proxies[0];
  if (!proxy) return <Empty title="Nothing is known of its proxies" />;
  return (
    <>
      {proxies.length > 1 && <Choice of={proxies.length} chosen={proxies.indexOf(proxy) + 1} />}
      <Configuration of={proxy} mesh={mesh} />
    </>
  );
}

function Choice({ of: count, chosen }: { of: number; chosen: number }) {
  const { path } = route.value;
  return (
    <nav aria-label="Proxies of this dataplane" class="beside">
      {Array.from({ length: count }, (_, place) => place + 1).map((number) => (
        <Link key={number} to={path} query={{ proxy: number }} aria-current={number === chosen ? "page" : undefined}>
          Proxy {number}
        </Link>
      ))}
    </nav>
  );
}

function Configuration({ of: proxy, mesh }: { of: DumpedProxy; mesh: string }) {
  const kinds = useKinds().data;
  return (
    <>
      <Trouble of={proxy} mesh={mesh} kinds={kinds} />
      <Tabs
        label="Types of resources"
        tabs={TYPE_NAMES.map((type) => {
          const found = resourcesOf(proxy, type);
          return {
            id: type,
            title: `${TYPES[type]} ${found.length}`,
            empty: found.length ? undefined : `The proxy gets no ${TYPES[type].toLowerCase()}: nothing of it needs any.`,
            show: () => (
              <ResourceList of={found} label={TYPES[type]} mesh={mesh} kinds={kinds} refused={refusalsOf(proxy, type)} />
            ),
          };
        })}
      />
    </>
  );
}

function resourcesOf(proxy: DumpedProxy, type: string): EnvoyResource[] {
  return proxy.types[type]?.resources ?? [];
}
