/** The control plane itself: version, store, where it listens, and the configuration that is in effect. */

import { useSignal } from "@preact/signals";
import { about } from "../about";
import { useLive } from "../live";
import { Definition, Loaded, Yaml } from "../parts";

export function ControlPlane() {
  const known = about.value;
  const isOpen = useSignal(false);
  if (!known) return null;
  const ports = Object.entries(known.ports);
  return (
    <section aria-labelledby="control-plane">
      <h2 id="control-plane">Control plane</h2>
      <div class="card">
        <Definition
          of={[
            ["Version", known.version],
            ["Environment", known.environment],
            ["Store", known.storeType === "memory" ? "memory: all is gone when it ends" : known.storeType],
            ["Address", known.hostname],
            ["Ports", ports.length > 0 ? ports.map(([name, port]) => `${name} ${port}`).join(", ") : undefined],
          ]}
        />
        <details onToggle={(event) => (isOpen.value = event.currentTarget.open)}>
          <summary>Configuration in effect</summary>
          {isOpen.value && <Configuration />}
        </details>
      </div>
    </section>
  );
}

/** Passwords are `*****`: the control plane gives none away. */
function Configuration() {
  const found = useLive<unknown>("/config", { kinds: [] });
  return <Loaded of={found}>{(config) => <Yaml of={config} label="configuration" />}</Loaded>;
}
