import type { Kinds } from "../kinds";
import type { Call, Named } from "../map/answer";
import { Verdict } from "../map/lists";
import { type Column, Table } from "../parts";
import { PolicyLink } from "../proxy/policy-link";
import { inPath, Link } from "../router";

interface Props {
  of: Call[];
  mesh: string;
  kinds: Kinds | undefined;
  /** The end that differs from row to row. */
  other: "source" | "destination";
  label: string;
}

/** Calls to or from a service: whether they may come in, why, and which policies have a say. */
export function Calls({ of: calls, label, ...rest }: Props) {
  const key = (call: Call) => call[rest.other];
  return <Table label={label} columns={columns(rest)} rows={calls} rowKey={key} />;
}

function columns({ mesh, kinds, other }: Omit<Props, "of" | "label">): Column<Call>[] {
  return [
    {
      id: "service",
      title: "Service",
      cell: (call) => <Link to={inPath("meshes", mesh, "services", call[other])}>{call[other]}</Link>,
    },
    { id: "verdict", title: "Verdict", cell: (call) => <Verdict of={call.verdict} /> },
    { id: "reason", title: "Why", cell: (call) => call.reason },
    { id: "policies", title: "Policies", wide: true, cell: (call) => <Policies of={call} mesh={mesh} kinds={kinds} /> },
    { id: "explain", title: "Explain", wide: true, cell: (call) => <Explain of={call} mesh={mesh} /> },
  ];
}

function Policies({ of: call, mesh, kinds }: { of: Call; mesh: string; kinds: Kinds | undefined }) {
  const routes = call.flows.flatMap((flow) => flow.routedBy);
  const found = new Map([...call.permittedBy, ...routes, ...call.followedBy].map((one) => [keyOf(one), one]));
  if (!found.size) return <span class="quiet">none</span>;
  return (
    <span class="beside">
      {[...found].map(([key, one]) => (
        <PolicyLink key={key} mesh={mesh} of={one} kinds={kinds} />
      ))}
    </span>
  );
}

function keyOf({ kind, name }: Named): string {
  return `${kind} ${name}`;
}

function Explain({ of: { source, destination }, mesh }: { of: Call; mesh: string }) {
  const query = { source: `service:${source}`, destination: `service:${destination}` };
  return (
    <Link to={inPath("meshes", mesh, "explain")} query={query} aria-label={`Explain ${source} to ${destination}`}>
      Explain
    </Link>
  );
}
