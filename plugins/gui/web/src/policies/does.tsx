/** What one policy does: the calls on which it acts, where another one wins and why, and who has taken it. */

import { Health } from "../health";
import { type Column, Definition, Table } from "../parts";
import { inPath, Link } from "../router";
import type { Detail, Lost, Place, Some, Taker } from "./answer";
import { PolicyState, scopeText, selectorsText } from "./words";

export function Does({ mesh, path, detail }: { mesh: string; path: string; detail: Detail }) {
  return (
    <>
      <p><PolicyState of={detail} /> <span class="quiet">{scopeText(detail.scope)}</span></p>
      <Definition
        of={[
          ["From", selectorsText(detail.sources)],
          ["To", selectorsText(detail.destinations)],
        ]}
      />
      {detail.connections && detail.scope !== "proxy" && <Calls mesh={mesh} of={detail.connections} />}
      {detail.inbounds && detail.inbounds.total > 0 && <Inbounds mesh={mesh} of={detail.inbounds} />}
      {detail.losesAt && detail.losesAt.total > 0 && <Losses mesh={mesh} path={path} of={detail.losesAt} />}
      {detail.proxies && <Takers mesh={mesh} of={detail.proxies} />}
    </>
  );
}

/** `12`, or `500 of 1200 are listed`. */
function countText({ total, items }: Some<unknown>): string {
  return items.length < total ? `${items.length} of ${total} are listed` : String(total);
}

function CallLink({ mesh, place }: { mesh: string; place: Place }) {
  const { source, destination } = place;
  if (!source || !destination) {
    const service = source || destination;
    return <Link to={inPath("meshes", mesh, "services", service)}>{service}</Link>;
  }
  return (
    <Link to={inPath("meshes", mesh, "map")} query={{ from: source, to: destination, focus: source }}>
      {source} → {destination}
    </Link>
  );
}

const CLIENTS: Column<Place> = { id: "clients", title: "Clients", numeric: true, cell: (place) => place.clients };

function Calls({ mesh, of: found }: { mesh: string; of: Some<Place> }) {
  const columns: Column<Place>[] = [
    { id: "call", title: "Call", cell: (place) => <CallLink mesh={mesh} place={place} /> },
    ...(found.items.some((place) => place.clients !== undefined) ? [CLIENTS] : []),
  ];
  return (
    <section>
      <h2>Calls on which it acts: {countText(found)}</h2>
      {found.total > 0 && (
        <Table label="Calls on which it acts" columns={columns} rows={found.items} rowKey={(place) => `${place.source}\n${place.destination}`} />
      )}
    </section>
  );
}

function Inbounds({ mesh, of: found }: { mesh: string; of: NonNullable<Detail["inbounds"]> }) {
  return (
    <section>
      <h2>Services whose inbounds it matches: {countText(found)}</h2>
      <ul>
        {found.items.map(({ service, dataplanes }) => (
          <li key={service}>
            <Link to={inPath("meshes", mesh, "services", service)}>{service}</Link>{" "}
            <span class="quiet">{dataplanes} {dataplanes === 1 ? "dataplane" : "dataplanes"}</span>
          </li>
        ))}
      </ul>
    </section>
  );
}

function Losses({ mesh, path, of: found }: { mesh: string; path: string; of: Some<Lost> }) {
  const columns: Column<Lost>[] = [
    { id: "call", title: "Where", cell: (place) => <CallLink mesh={mesh} place={place} /> },
    {
      id: "against",
      title: "Against",
      cell: (place) => <Link to={inPath("meshes", mesh, "policies", path, place.against)}>{place.against}</Link>,
    },
    { id: "reason", title: "Why", cell: (place) => place.reason },
  ];
  return (
    <section>
      <h2>Where another one wins: {countText(found)}</h2>
      <Table
        label="Where another one wins"
        columns={columns}
        rows={found.items}
        rowKey={(place) => `${place.source}\n${place.destination}\n${place.against}`}
      />
    </section>
  );
}

function Takers({ mesh, of: found }: { mesh: string; of: NonNullable<Detail["proxies"]> }) {
  const columns: Column<Taker>[] = [
    {
      id: "dataplane",
      title: "Dataplane",
      cell: (one) => <Link to={inPath("meshes", mesh, "dataplanes", one.dataplane)}>{one.dataplane}</Link>,
    },
    { id: "status", title: "Status", cell: (one) => <Health value={one.status} /> },
    { id: "taken", title: "Has taken it", cell: (one) => (one.taken ? "yes" : `no: ${one.reason}`) },
  ];
  return (
    <section>
      <h2>Proxies that have taken it: {found.taken} of {found.total}</h2>
      {found.total > 0 && (
        <Table label="Proxies" columns={columns} rows={found.items} rowKey={(one) => one.dataplane} />
      )}
    </section>
  );
}
