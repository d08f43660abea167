import { Empty } from "../parts";
import { inPath, Link } from "../router";
import type { Inbound, Networking, Outbound, Overview } from "./answers";
import { Standing } from "./standing";
import { TagList } from "./tags";

/** Who calls the service, its proxy, and whom it calls, from left to right. */
export function Picture({ of: found }: { of: Overview }) {
  const networking = found.dataplane.networking ?? {};
  return (
    <div class="picture">
      <section aria-label="Inbounds">
        <h2>Inbounds</h2>
        <Inbounds of={networking} mesh={found.mesh} />
      </section>
      <section class="picture-proxy" aria-label="Proxy">
        <p>
          <strong>{found.name}</strong>
        </p>
        <Standing of={found} />
        <Kind of={networking} />
        <p>
          <Link to={inPath("meshes", found.mesh, "dataplanes", found.name, "xds")}>Envoy’s configuration</Link>
        </p>
      </section>
      <section aria-label="Outbounds">
        <h2>Outbounds</h2>
        <Outbounds of={networking.outbound ?? []} from={found} />
      </section>
    </div>
  );
}

function Kind({ of: { gateway, transparentProxying } }: { of: Networking }) {
  return (
    <>
      {gateway && <p>gateway</p>}
      {transparentProxying?.redirectPort && <p>transparent, by port {transparentProxying.redirectPort}</p>}
    </>
  );
}

function Inbounds({ of: { inbound = [], gateway }, mesh }: { of: Networking; mesh: string }) {
  if (gateway) return <Empty title="A gateway takes connections from outside of the mesh, and has no inbounds" />;
  if (!inbound.length) return <Empty title="Nobody in the mesh can call it: it has no inbounds" />;
  return (
    <ul class="ports">
      {inbound.map((item) => (
        <InboundPort key={item.interface} of={item} mesh={mesh} />
      ))}
    </ul>
  );
}

function InboundPort({ of: { interface: place, tags = {} }, mesh }: { of: Inbound; mesh: string }) {
  const service = tags["service"] ?? "";
  const { service: _, ...others } = tags;
  const [, from = place, to = ""] = /^(.*):(\d+)$/.exec(place) ?? [];
  return (
    <li>
      <p>
        <Link to={inPath("meshes", mesh, "services", service)}>{service}</Link>
      </p>
      <p>
        <code>{from}</code> to the service’s port <code>{to}</code>
      </p>
      {Object.keys(others).length > 0 && <TagList of={[others]} />}
    </li>
  );
}

function Outbounds({ of: outbounds, from }: { of: Outbound[]; from: Overview }) {
  if (!outbounds.length) return <Empty title="It calls nobody: it has no outbounds" />;
  return (
    <ul class="ports">
      {outbounds.map((item) => (
        <OutboundPort key={item.interface} of={item} from={from} />
      ))}
    </ul>
  );
}

function OutboundPort({ of: { interface: place, service }, from: { mesh, name } }: { of: Outbound; from: Overview }) {
  const ends = { source: `dataplane:${name}`, destination: `service:${service}` };
  return (
    <li>
      <p>
        <Link to={inPath("meshes", mesh, "services", service)}>{service}</Link>
      </p>
      <p class="beside">
        <span>
          at <code>{place}</code>
        </span>
        <Link to={inPath("meshes", mesh, "explain")} query={ends} aria-label={`Explain the calls to ${service}`}>
          Explain
        </Link>
      </p>
    </li>
  );
}
