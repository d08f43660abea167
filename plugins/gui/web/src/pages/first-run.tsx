import { AddDataplanes } from "../first-run/add";
import { endFirstRun } from "../first-run/done";
import { Environment } from "../first-run/environment";
import { Watch } from "../first-run/watch";
import { useLive } from "../live";
import { Heading, Loaded } from "../parts";
import type { Configuration } from "../proxy/commands";
import { go, inPath, route, setQuery } from "../router";
import "../proxy/proxy.css";

interface Meshes {
  items: { name: string }[];
}

const STEPS = ["Where it runs", "Add dataplanes", "Watch them come"] as const;
const LAST = STEPS.length;

/** Three steps from a new control plane to proxies that are online. Nobody has to take them, and they can come again. */
export default function FirstRun() {
  const { query } = route.value;
  const step = Math.min(LAST, Math.max(1, Number(query.get("step")) || 1));
  const meshes = useLive<Meshes>("/meshes", { kinds: ["Mesh"] });
  const config = useLive<Configuration>("/config", { kinds: [] });
  const names = (meshes.data?.items ?? []).map((mesh) => mesh.name);
  const wanted = query.get("mesh") ?? "default";
  const mesh = names.includes(wanted) ? wanted : (names[0] ?? "default");
  return (
    <>
      <Heading title="First steps">
        <button type="button" class="small" onClick={leave}>
          Skip
        </button>
      </Heading>
      <Steps step={step} />
      <section aria-label={STEPS[step - 1]}>
        <h2>
          {step}. {STEPS[step - 1]}
        </h2>
        {step > 1 && names.length > 1 && <MeshChoice names={names} mesh={mesh} />}
        <Loaded of={config}>
          {(data) => (
            <>
              {step === 1 && <Environment of={data} mesh={mesh} />}
              {step === 2 && <AddDataplanes of={data} mesh={mesh} />}
            </>
          )}
        </Loaded>
        {step === LAST && <Watch mesh={mesh} />}
      </section>
      <Turn step={step} mesh={mesh} />
    </>
  );
}

function leave(): void {
  endFirstRun();
  go("/");
}

function Steps({ step }: { step: number }) {
  return (
    <ol class="steps beside" aria-label="Steps">
      {STEPS.map((title, place) => (
        <li key={title} aria-current={place + 1 === step ? "step" : undefined}>
          <button type="button" class="small" onClick={() => setQuery({ step: place + 1 }, false)}>
            {title}
          </button>
        </li>
      ))}
    </ol>
  );
}

function MeshChoice({ names, mesh }: { names: string[]; mesh: string }) {
  return (
    <label class="beside">
      Mesh
      <select value={mesh} onChange={(event) => setQuery({ mesh: event.currentTarget.value })}>
        {names.map((name) => (
          <option key={name}>{name}</option>
        ))}
      </select>
    </label>
  );
}

function Turn({ step, mesh }: { step: number; mesh: string }) {
  const end = () => {
    endFirstRun();
    go(inPath("meshes", mesh));
  };
  return (
    <p class="beside">
      {step > 1 && (
        <button type="button" onClick={() => setQuery({ step: step - 1 }, false)}>
          Back
        </button>
      )}
      {step < LAST ? (
        <button type="button" class="primary" onClick={() => setQuery({ step: step + 1 }, false)}>
          Next
        </button>
      ) : (
        <button type="button" class="primary" onClick={end}>
          See the mesh
        </button>
      )}
    </p>
  );
}
