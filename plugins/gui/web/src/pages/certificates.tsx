import { useEffect } from "preact/hooks";
import { ApiError } from "../api";
import { Leaves } from "../certificates/leaves";
import { RotationProgress } from "../certificates/rotation";
import { Roots } from "../certificates/roots";
import { type Live, paused, useLive } from "../live";
import { Badge, Heading, Loaded, Problem } from "../parts";
import { type Authority, ofMesh } from "../proxy/answers";
import { route } from "../router";
import "../proxy/proxy.css";

const LOOK_MILLISECONDS = 2_000;

/** Who signs in a mesh, a rotation as it goes on, and whose certificate ends next. */
export default function Certificates() {
  const { mesh = "" } = route.value.params;
  const authority = useLive<Authority>(ofMesh(mesh, "authority"), { kinds: ["Mesh"], events: ["rotation"], mesh });
  useProgress(authority);
  return (
    <>
      <Heading title="Certificates" />
      <Loaded of={authority}>{(data) => <Told of={data} mesh={mesh} />}</Loaded>
    </>
  );
}

/** Events tell when a stage begins and ends; how many proxies it waits for is looked at while it goes on. */
function useProgress({ data, retry }: Live<Authority>): void {
  const goesOn = Boolean(data?.rotation);
  useEffect(() => {
    if (!goesOn) return;
    const timer = setInterval(() => document.hidden || paused.peek() || retry(), LOOK_MILLISECONDS);
    return () => clearInterval(timer);
  }, [goesOn]);
}

function Told({ of: found, mesh }: { of: Authority; mesh: string }) {
  return (
    <>
      <p class="beside">
        {found.encrypted ? <Badge tone="good">mTLS is on</Badge> : <Badge tone="warn">mTLS is off</Badge>}
        <span>
          Authority <code>{found.authority}</code>
        </span>
      </p>
      {found.problem && <Problem error={new ApiError(0, "The authority does not answer", found.problem)} />}
      {found.rotation && <RotationProgress of={found.rotation} mesh={mesh} />}
      <h2>Roots</h2>
      <Roots of={found.roots} />
      <h2>Certificates of proxies</h2>
      {found.encrypted ? (
        <Leaves mesh={mesh} />
      ) : (
        <p class="quiet">mTLS is off in this mesh, so that proxies get no certificates.</p>
      )}
    </>
  );
}
