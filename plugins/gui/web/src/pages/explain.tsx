/** Which policies apply between two ends, which do not, and why; and whether the calls may come in. */

import { useSignal } from "@preact/signals";
import { useId, useRef } from "preact/hooks";
import { useKinds } from "../kinds";
import { useLive } from "../live";
import { Verdict } from "../map/lists";
import { type Column, Empty, Heading, Loaded, Table, useTyped } from "../parts";
import { tagsText } from "../policies/cells";
import { policyPlace } from "../policies/places";
import { address, inPath, Link, route, setQuery } from "../router";
import "../policies/policies.css";

interface Explained {
  source: string;
  destination?: string;
  access?: string;
  reason?: string;
  routed?: { tags: Record<string, string>; weight: number }[];
  policies: Choice[];
}

interface Choice {
  kind: string;
  scope: string;
  service: string;
  candidates: Candidate[];
}

interface Candidate {
  name: string;
  applies: boolean;
  rank: { total: number; exact: number } | null;
  reason: string;
}

export default function Page() {
  const { params, query } = route.value;
  const { mesh = "" } = params;
  const [source, destination] = [query.get("source") ?? "", query.get("destination") ?? ""];
  const path = source ? address(inPath("meshes", mesh, "explain"), { source, destination }) : null;
  const found = useLive<Explained>(path, { mesh });
  return (
    <>
      <Heading title="Explain" />
      <form class="explain" onSubmit={(event) => event.preventDefault()}>
        <End mesh={mesh} name="source" label="From" value={source} />
        <End mesh={mesh} name="destination" label="To" value={destination} />
      </form>
      {source ? (
        <Loaded of={found}>{(explained) => <Answer mesh={mesh} explained={explained} />}</Loaded>
      ) : (
        <Empty title="Choose who calls, and whom">
          <p>A service or a dataplane each. Without a second one, the policies of the first one's own proxy are explained.</p>
        </Empty>
      )}
    </>
  );
}

interface Names {
  items: { name: string }[];
}

const PAUSE_MILLISECONDS = 250;
const OFFERED = 20;

/** A field for one end. What it offers the server finds: a mesh may have thousands. */
function End({ mesh, name, label, value }: { mesh: string; name: string; label: string; value: string }) {
  const list = useId();
  const typed = useTyped(value);
  const sought = useSignal(value);
  const timer = useRef(0);
  const isUsed = useSignal(false);
  const words = sought.value.replace(/^(service|dataplane):/, "");
  const offered = (kind: string) => (isUsed.value ? address(inPath("meshes", mesh, kind), { q: words, size: OFFERED }) : null);
  const services = useLive<Names>(offered("services"), { mesh, kinds: ["Dataplane"] });
  const dataplanes = useLive<Names>(offered("dataplanes"), { mesh, kinds: ["Dataplane"] });
  const wait = (text: string) => {
    clearTimeout(timer.current);
    typed.value = text;
    timer.current = window.setTimeout(() => (sought.value = text), PAUSE_MILLISECONDS);
  };
  return (
    <label>
      {label}
      <input
        type="search"
        list={list}
        value={typed}
        onFocus={() => (isUsed.value = true)}
        placeholder="service:NAME or dataplane:NAME"
        onInput={(event) => wait(event.currentTarget.value)}
        onChange={(event) => setQuery({ [name]: event.currentTarget.value.trim() }, false)}
      />
      <datalist id={list}>
        {services.data?.items.map((item) => <option key={`s${item.name}`} value={`service:${item.name}`} />)}
        {dataplanes.data?.items.map((item) => <option key={`d${item.name}`} value={`dataplane:${item.name}`} />)}
      </datalist>
    </label>
  );
}

function Answer({ mesh, explained }: { mesh: string; explained: Explained }) {
  const { access, reason, routed } = explained;
  const total = routed?.reduce((sum, part) => sum + part.weight, 0) ?? 0;
  return (
    <>
      {access && <p role="status"><Verdict of={access} /> {reason}</p>}
      {routed && (
        <p>
          Calls go to{" "}
          {routed.map((part) => `${tagsText(part.tags)} (${total > 0 ? Math.round((part.weight / total) * 1000) / 10 : 0} %)`).join(", ") || "nobody"}.
        </p>
      )}
      {explained.policies.map((choice) => (
        <Chosen key={`${choice.kind} ${choice.scope} ${choice.service}`} mesh={mesh} choice={choice} />
      ))}
    </>
  );
}

function Chosen({ mesh, choice }: { mesh: string; choice: Choice }) {
  const { data: kinds } = useKinds();
  const columns: Column<Candidate>[] = [
    { id: "name", title: "Name", cell: (one) => <Link to={policyPlace(mesh, kinds, choice.kind, one.name)}>{one.name}</Link> },
    { id: "applies", title: "Applies", cell: (one) => (one.applies ? "✓ yes" : "no") },
    { id: "rank", title: "Rank", cell: (one) => rankText(one.rank) },
    { id: "reason", title: "Why", cell: (one) => one.reason },
  ];
  const title = choice.service ? `${choice.kind} for ${choice.service}` : choice.kind;
  return (
    <section>
      <h2>{title}</h2>
      {choice.candidates.length > 0 ? (
        <Table label={title} columns={columns} rows={inOrder(choice.candidates)} rowKey={(one) => one.name} />
      ) : (
        <p class="quiet">There is none in this mesh.</p>
      )}
    </section>
  );
}

function rankText(rank: Candidate["rank"]): string {
  if (!rank) return "does not match";
  return `${rank.total} ${rank.total === 1 ? "tag" : "tags"}, ${rank.exact} exact`;
}

/** Those that apply first, then the others by rank, then those that do not match. */
function inOrder(candidates: readonly Candidate[]): Candidate[] {
  const weight = ({ applies, rank }: Candidate): number => (applies ? 1e6 : 0) + (rank ? 1 + rank.total * 100 + rank.exact : 0);
  return [...candidates].sort((one, other) => weight(other) - weight(one));
}
