import { ApiError } from "../api";
import type { Kinds } from "../kinds";
import { Age, Badge, Definition, Problem } from "../parts";
import { Link, route } from "../router";
import { type DumpedProxy, type EnvoyResource, type Named, type Taken, TYPE_NAMES, type TypeName, TYPES } from "./answers";
import { PolicyLink } from "./policy-link";

interface Props {
  of: DumpedProxy;
  mesh: string;
  kinds: Kinds | undefined;
}

/** What the proxy refused of a type, on any stream. */
export function refusalsOf(proxy: DumpedProxy, type: TypeName): Taken[] {
  const taken = proxy.streams.map((stream) => stream.types[type]);
  return taken.filter((one): one is Taken => Boolean(one?.rejection));
}

/** Everything that is wrong with what a proxy has, then how far each stream is. */
export function Trouble({ of: proxy, mesh, kinds }: Props) {
  return (
    <>
      {proxy.problem && <Problem error={new ApiError(0, "It keeps an older configuration", proxy.problem)} />}
      {proxy.warnings.map((text) => (
        <Problem key={text} error={new ApiError(0, "It does not get everything", text)} />
      ))}
      {TYPE_NAMES.flatMap((type) =>
        refusalsOf(proxy, type).map((taken) => (
          <Refusal key={type + taken.rejection} type={type} of={taken} proxy={proxy} mesh={mesh} kinds={kinds} />
        )),
      )}
      <Streams of={proxy} />
    </>
  );
}

/** Envoy's words, what they are about, and whose doing that is. */
function Refusal({ type, of: taken, proxy, mesh, kinds }: Omit<Props, "of"> & { type: TypeName; of: Taken; proxy: DumpedProxy }) {
  const resources = proxy.types[type]?.resources ?? [];
  const named = resources.filter((item) => taken.culprits.includes(item.name));
  return (
    <section class="problem" aria-label={`Refused ${TYPES[type].toLowerCase()}`}>
      <p class="problem-title">Its Envoy refuses {TYPES[type].toLowerCase()}, and goes on with what it took before</p>
      <pre class="words" tabIndex={0} aria-label="Envoy’s words">
        {taken.rejection}
      </pre>
      {taken.hint && <p>{taken.hint}</p>}
      {named.length ? (
        <ul>
          {named.map((item) => (
            <Culprit key={item.name} type={type} of={item} mesh={mesh} kinds={kinds} />
          ))}
        </ul>
      ) : (
        <p>These words name no resource that the proxy gets now.</p>
      )}
    </section>
  );
}

function Culprit({ type, of: item, mesh, kinds }: Omit<Props, "of"> & { type: TypeName; of: EnvoyResource }) {
  return (
    <li>
      <Link to={route.value.path} query={{ tab: type, resource: item.name }}>
        {item.name}
      </Link>{" "}
      <Origin of={item} mesh={mesh} kinds={kinds} />
    </li>
  );
}

/** Who made a resource: in words, and with a link to each policy that had a part in it. */
export function Origin({ of: { origin }, mesh, kinds }: Omit<Props, "of"> & { of: EnvoyResource }) {
  return (
    <span>
      <span class="quiet">{origin.words}</span>
      {origin.policies.map((policy: Named) => (
        <span key={policy.kind + policy.name}>
          {" "}
          <PolicyLink mesh={mesh} of={policy} kinds={kinds} />
        </span>
      ))}
    </span>
  );
}

function Streams({ of: { streams, types } }: { of: DumpedProxy }) {
  if (!streams.length)
    return <p>No proxy is connected to this control plane: this is what one would get.</p>;
  return (
    <>
      {streams.map((stream) => (
        <Definition
          key={stream.id}
          of={[
            ["Connected", <Age at={stream.connected} />],
            ...TYPE_NAMES.map((type): [string, preact.ComponentChild] => [
              TYPES[type],
              <How of={stream.types[type]} used={Boolean(types[type]?.resources.length)} />,
            ]),
          ]}
        />
      ))}
    </>
  );
}

function How({ of: taken, used }: { of: Taken | undefined; used: boolean }) {
  if (taken?.rejection) return <Badge tone="bad">refused</Badge>;
  if (taken?.upToDate) return <Badge tone="good">acknowledged</Badge>;
  if (!used) return <span class="quiet">nothing to send</span>;
  return <Badge tone="warn">not acknowledged yet</Badge>;
}
