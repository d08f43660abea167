import { Age, Badge, type Column, Empty, Table } from "../parts";
import type { Root } from "../proxy/answers";

const COLUMNS: Column<Root>[] = [
  { id: "sha256", title: "SHA-256 fingerprint", cell: (row) => <code title={row.sha256}>{row.sha256.slice(0, 16)}…</code> },
  { id: "signs", title: "Part", cell: (row) => <Part of={row} /> },
  { id: "ends", title: "Ends", cell: (row) => <Age at={row.notAfter} /> },
  { id: "begins", title: "Began", wide: true, cell: (row) => <Age at={row.notBefore} /> },
  { id: "subject", title: "Subject", wide: true, cell: (row) => row.subject },
];

function Part({ of: { signs } }: { of: Root }) {
  if (signs === null) return <Badge>trusted</Badge>;
  return signs ? <Badge tone="good">signs</Badge> : <Badge>trusted, does not sign</Badge>;
}

/** What every proxy of the mesh trusts. */
export function Roots({ of: roots }: { of: Root[] }) {
  return (
    <Table
      label="Roots"
      columns={COLUMNS}
      rows={roots}
      rowKey={(row) => row.sha256}
      empty={<Empty title="The authority has no certificate: no proxy gets an identity" />}
    />
  );
}
