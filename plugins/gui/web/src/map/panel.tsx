/** The panel of what is selected: which permission, route, log and check applies to a call, and why. */

import { useKinds } from "../kinds";
import { useLive } from "../live";
import { Definition, Drawer, Loaded } from "../parts";
import { policyPlace } from "../policies/places";
import { address, inPath, Link } from "../router";
import type { Call, Named, Service, Share } from "./answer";
import { type Choice, focusOn, isSelected, selectCall, selectNothing } from "./choice";
import { ServiceState, Verdict } from "./lists";
import type { Scene } from "./scene";
import { percent, placeText } from "./words";

export function Panel({ mesh, scene, choice }: { mesh: string; scene: Scene; choice: Choice }) {
  const call = scene.calls.find((item) => isSelected(choice, item));
  if (call) return <CallPanel mesh={mesh} call={call} />;
  const service = scene.services.find((item) => item.name === choice.service);
  return service ? <ServicePanel mesh={mesh} service={service} scene={scene} /> : null;
}

function CallPanel({ mesh, call }: { mesh: string; call: Call }) {
  const ends = { source: `service:${call.source}`, destination: `service:${call.destination}` };
  return (
    <Drawer title={`${call.source} → ${call.destination}`} close={selectNothing}>
      <p><Verdict of={call.verdict} /> {call.reason}</p>
      <Definition
        of={[
          ["Clients", `${call.clients.healthy} of ${call.clients.total} connected`],
          ["Endpoints", `${call.endpoints.healthy} of ${call.endpoints.total} healthy`],
        ]}
      />
      <Splits call={call} />
      <h3>What applies, and why</h3>
      <Applied mesh={mesh} call={call} />
      <p><Link to={inPath("meshes", mesh, "explain")} query={ends}>Explain every policy of this pair</Link></p>
    </Drawer>
  );
}

function Splits({ call }: { call: Call }) {
  const flows = call.flows.filter((flow) => flow.shares.length > 0);
  if (!flows.some((flow) => flow.shares.length > 1)) return null;
  return (
    <>
      <h3>Where the calls go</h3>
      {flows.map((flow, index) => (
        <ul class="splits" key={index}>
          {flow.shares.map((share) => <SplitItem key={placeText(share, "")} share={share} call={call} />)}
        </ul>
      ))}
    </>
  );
}

function SplitItem({ share, call }: { share: Share; call: Call }) {
  return (
    <li>
      <b>{percent(share)}</b> {placeText(share, call.destination)}{" "}
      <span class="quiet">{share.endpoints.healthy} of {share.endpoints.total} healthy</span>
      <meter value={share.share} aria-label={`Share of ${placeText(share, call.destination)}`} />
    </li>
  );
}

interface Explained {
  policies: { kind: string; scope: string; service: string; candidates: Candidate[] }[];
}

interface Candidate {
  name: string;
  applies: boolean;
  reason: string;
}

/** For every kind what the map says that applies, with the reason that `explain` gives for one client and instance. */
function Applied({ mesh, call }: { mesh: string; call: Call }) {
  const flow = call.flows[0];
  const instance = flow?.shares.find((share) => share.instance)?.instance;
  const query = {
    source: flow ? `dataplane:${flow.client}` : `service:${call.source}`,
    destination: instance ? `dataplane:${instance}` : `service:${call.destination}`,
  };
  const found = useLive<Explained>(address(`${inPath("meshes", mesh)}/explain`, query), { mesh });
  return <Loaded of={found}>{(explained) => <AppliedList mesh={mesh} call={call} explained={explained} />}</Loaded>;
}

const APART = "\n";

function AppliedList({ mesh, call, explained }: { mesh: string; call: Call; explained: Explained }) {
  const { data: kinds } = useKinds();
  const known = [...call.permittedBy, ...call.flows.flatMap((flow) => flow.routedBy), ...call.followedBy];
  const once = [...new Map(known.map((item) => [item.kind + APART + item.name, item])).values()];
  const absent = [...new Set(explained.policies.map((policy) => policy.kind))].filter(
    (kind) => !once.some((item) => item.kind === kind),
  );
  return (
    <ul class="applied">
      {once.map((item) => (
        <li key={item.kind + APART + item.name}>
          <span class="quiet">{item.kind}</span>{" "}
          <Link to={policyPlace(mesh, kinds, item.kind, item.name)}>{item.name}</Link>: {whyOf(explained, item)}
        </li>
      ))}
      {absent.map((kind) => (
        <li key={kind}><span class="quiet">{kind}</span> none applies</li>
      ))}
    </ul>
  );
}

function whyOf(explained: Explained, item: Named): string {
  const candidates = explained.policies.filter((policy) => policy.kind === item.kind).flatMap((policy) => policy.candidates);
  return candidates.find((one) => one.name === item.name && one.applies)?.reason ?? "applies to some of the clients";
}

function ServicePanel({ mesh, service, scene }: { mesh: string; service: Service; scene: Scene }) {
  const out = scene.calls.filter((call) => call.source === service.name);
  const into = scene.calls.filter((call) => call.destination === service.name);
  const tags = Object.entries(service.tags).map(([key, values]) => `${key}: ${values.join(", ")}`);
  return (
    <Drawer title={service.name} close={selectNothing}>
      <p><ServiceState service={service} /></p>
      <Definition of={[["Tags", tags.join("; ")], ["Gateway", service.isGateway ? "yes: it only calls others" : ""]]} />
      <Calls title="Calls" calls={out} />
      <Calls title="Called by" calls={into} />
      <p>
        <Link to={inPath("meshes", mesh, "services", service.name)}>Instances of {service.name}</Link>{" "}
        <button type="button" class="small" onClick={() => focusOn(service.name)}>Show what is around it</button>
      </p>
    </Drawer>
  );
}

function Calls({ title, calls }: { title: string; calls: Call[] }) {
  if (calls.length === 0) return <p class="quiet">{title}: nobody</p>;
  return (
    <>
      <h3>{title}</h3>
      <ul class="applied">
        {calls.map((call) => (
          <li key={call.source + APART + call.destination}>
            <button type="button" class="row-opens" onClick={() => selectCall(call)}>
              {call.source} → {call.destination}
            </button>{" "}
            <Verdict of={call.verdict} />
          </li>
        ))}
      </ul>
    </>
  );
}
