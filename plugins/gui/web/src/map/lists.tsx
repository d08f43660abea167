/** The map as lists: for the keyboard, for screen readers, and for whoever looks for a name. */

import { Health } from "../health";
import { Badge, Empty, Table } from "../parts";
import type { Column } from "../parts";
import type { Call, Service } from "./answer";
import { type Choice, isSelected, selectCall, selectNothing, selectService } from "./choice";
import { isIdle, type Scene } from "./scene";
import { instancesText, lookOf, splitTexts, stateOf } from "./words";

const TONES = { allowed: "good", partly: "warn", denied: "bad", plaintext: "warn", noEndpoint: "bad", unknown: "plain" } as const;

export function Verdict({ of: verdict }: { of: string }) {
  const look = lookOf(verdict);
  return (
    <Badge tone={TONES[verdict as keyof typeof TONES] ?? "plain"}>
      <span aria-hidden="true">{look.mark}</span> {look.word}
    </Badge>
  );
}

export function CallList({ scene, choice }: { scene: Scene; choice: Choice }) {
  const columns: Column<Call>[] = [
    { id: "call", title: "Call", cell: (call) => <CallButton call={call} choice={choice} /> },
    { id: "verdict", title: "Verdict", cell: (call) => <Verdict of={call.verdict} /> },
    { id: "reason", title: "Why", wide: true, cell: (call) => call.reason },
    { id: "split", title: "Split", wide: true, cell: (call) => splitTexts(call).join(", ") },
  ];
  const rows = scene.calls.filter((call) => !(choice.hidesIdle && isIdle(call)));
  return (
    <Table
      label="Calls"
      columns={columns}
      rows={rows}
      rowKey={(call) => `${call.source}\n${call.destination}`}
      empty={<Empty title="No service calls another one: no dataplane has an outbound" />}
    />
  );
}

function CallButton({ call, choice }: { call: Call; choice: Choice }) {
  const isOpen = isSelected(choice, call);
  return (
    <button type="button" class="row-opens" aria-expanded={isOpen} onClick={() => (isOpen ? selectNothing() : selectCall(call))}>
      {call.source} → {call.destination}
    </button>
  );
}

export function ServiceList({ scene, choice }: { scene: Scene; choice: Choice }) {
  const columns: Column<Service>[] = [
    { id: "name", title: "Service", cell: (service) => <ServiceButton service={service} choice={choice} /> },
    { id: "state", title: "Instances", cell: (service) => <ServiceState service={service} /> },
  ];
  return (
    <Table
      label="Services on the map"
      columns={columns}
      rows={[...scene.services]}
      rowKey={(service) => service.name}
      empty={<Empty title="There is no service yet: no dataplane offers or calls one" />}
    />
  );
}

function ServiceButton({ service, choice }: { service: Service; choice: Choice }) {
  const isOpen = choice.service === service.name;
  const act = () => (isOpen ? selectNothing() : selectService(service.name));
  return (
    <button type="button" class="row-opens" aria-expanded={isOpen} onClick={act}>
      {service.name}
    </button>
  );
}

export function ServiceState({ service }: { service: Service }) {
  const text = instancesText(service.instances, service.isGhost);
  return service.isGhost ? <Badge tone="bad">○ {text}</Badge> : <Health value={stateOf(service.instances)} text={text} />;
}
