import { Badge, Definition } from "../parts";
import { type Configuration, placeOf, whereFrom } from "../proxy/commands";
import { Warnings } from "./warnings";

const MODES: Record<string, string> = {
  universal: "on machines of any kind: you write Dataplanes, and start kuma-dp beside each service",
  kubernetes: "on Kubernetes: sidecars come with the Pods of the namespaces that you label",
};

/** Which control plane this is, as it says itself, and what one should know before one goes on. */
export function Environment({ of: config, mesh }: { of: Configuration; mesh: string }) {
  const { environment } = config;
  const known = MODES[environment];
  return (
    <>
      <p>
        <Badge tone={known ? "good" : "bad"}>{environment}</Badge>{" "}
        {known ? <>This control plane works {known}.</> : <>These pages do not know this environment.</>}
      </p>
      <Definition
        of={[
          ["REST API", <code>{placeOf(config, location.hostname).apiUrl}</code>],
          ["Where commands work", whereFrom(placeOf(config, location.hostname))],
        ]}
      />
      <Warnings mesh={mesh} />
    </>
  );
}
