import { useKinds } from "../kinds";
import { useLive } from "../live";
import { type Column, Empty, Loaded, Problem, Table } from "../parts";
import { ApiError } from "../api";
import { type Governing, type Named, ofMesh } from "./answers";
import { PolicyLink } from "./policy-link";

type Item = Governing["items"][number];

/** Which policies govern a dataplane, and of which kinds none does, each with the reason. */
export function GoverningPolicies({ mesh, name }: { mesh: string; name: string }) {
  const found = useLive<Governing>(ofMesh(mesh, "dataplanes", name, "policies"), { mesh });
  return <Loaded of={found}>{(data) => <Told of={data} mesh={mesh} />}</Loaded>;
}

function Told({ of: { items, none, problems }, mesh }: { of: Governing; mesh: string }) {
  const kinds = useKinds();
  const columns: Column<Item>[] = [
    { id: "policy", title: "Policy", cell: (row) => <PolicyLink mesh={mesh} of={row} kinds={kinds.data} /> },
    { id: "governs", title: "Governs", cell: governs },
    { id: "reason", title: "Why", wide: true, cell: (row) => row.reason },
  ];
  return (
    <>
      {problems.map((text) => (
        <Problem key={text} error={new ApiError(0, "A policy fails, so that the proxy keeps what it had", text)} />
      ))}
      <Table
        label="Policies that apply"
        columns={columns}
        rows={items}
        rowKey={(row) => `${keyOf(row)} ${row.reason}`}
        empty={<Empty title="No policy applies to this dataplane" />}
      />
      {none.length > 0 && (
        <>
          <h2>Nothing applies of</h2>
          <ul>
            {none.map((one) => (
              <li key={one.kind}>
                {one.kind}: {one.reason}
              </li>
            ))}
          </ul>
        </>
      )}
    </>
  );
}

function keyOf({ kind, name }: Named): string {
  return `${kind} ${name}`;
}

const SCOPES: Record<string, string> = {
  route: "where calls go to",
  outbound: "calls to",
  destination: "connections to",
  inbound: "who comes in at",
};

function governs({ scope, services, inbounds }: Item): string {
  const parts = [...services, ...inbounds];
  return parts.length ? `${SCOPES[scope] ?? scope} ${parts.join(", ")}` : "the proxy as a whole";
}
