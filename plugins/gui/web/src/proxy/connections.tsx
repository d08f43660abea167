import { Age, Badge, type Column, Definition, Table } from "../parts";
import { type Insight, type Responses, type Subscription, TYPE_NAMES, TYPES } from "./answers";
import { Words } from "./words";

export const NEVER = "No Envoy of it has opened a stream to a control plane yet. The start command is how one does.";

interface Row extends Responses {
  name: string;
}

const COLUMNS: Column<Row>[] = [
  { id: "name", title: "Resources", cell: (row) => row.name },
  { id: "sent", title: "Sent", numeric: true, cell: (row) => number(row.responsesSent) },
  { id: "acknowledged", title: "Acknowledged", numeric: true, cell: (row) => number(row.responsesAcknowledged) },
  { id: "rejected", title: "Rejected", numeric: true, cell: (row) => number(row.responsesRejected) },
];

function number(text: string | undefined): string {
  return Number(text ?? 0).toLocaleString("en-US");
}

/**
 * The streams that control planes remember, the newest first, with what was sent and what Envoy said to it. Events tell of
 * another status, and not of each answer: `again` reads the counters as they are now.
 */
export function Connections({ of: insight, again }: { of: Insight; again: () => void }) {
  const streams = [...(insight.subscriptions ?? [])].reverse();
  return (
    <>
      <button type="button" class="small" onClick={again}>
        Read again
      </button>
      {streams.map((stream) => (
        <Stream key={stream.id} of={stream} />
      ))}
    </>
  );
}

function Stream({ of: stream }: { of: Subscription }) {
  const { status = {}, connectTime, disconnectTime, controlPlaneInstanceId } = stream;
  const rows = [
    ...TYPE_NAMES.map((type) => ({ name: TYPES[type], ...status[type] })),
    { name: "All", ...status.total },
  ];
  return (
    <section aria-label={`Stream ${stream.id}`}>
      <h2 class="beside">
        <span>Stream</span> {disconnectTime ? <Badge>ended</Badge> : <Badge tone="good">open</Badge>}
      </h2>
      <Definition
        of={[
          ["Began", <Age at={connectTime} />],
          ["Ended", disconnectTime && <Age at={disconnectTime} />],
          ["Last update", <Age at={status.lastUpdateTime} />],
          ["Control plane", controlPlaneInstanceId && <code>{controlPlaneInstanceId}</code>],
        ]}
      />
      <Words of={status.lastRejection ? [status.lastRejection] : []} title="What it refuses" head="h3" />
      <Table label={`Responses of stream ${stream.id}`} columns={COLUMNS} rows={rows} rowKey={(row) => row.name} />
    </section>
  );
}
