import { Command } from "../proxy/command";
import { type Configuration, placeOf, whereFrom } from "../proxy/commands";
import { exampleCommands, KUBERNETES } from "./example";

/** What to type so that a first dataplane comes; the commands hold the real host and ports. */
export function AddDataplanes({ of: config, mesh }: { of: Configuration; mesh: string }) {
  const place = placeOf(config, location.hostname);
  const isKubernetes = config.environment === "kubernetes";
  const commands = isKubernetes ? KUBERNETES : exampleCommands(place, mesh);
  return (
    <>
      <p>
        {isKubernetes
          ? "Label a namespace, and have its Pods made anew: each then gets its sidecar."
          : "Each instance of a service has a Dataplane, which says where it listens, and a proxy beside it."}
      </p>
      {!isKubernetes && <p>{whereFrom(place)}</p>}
      <ol>
        {commands.map(([title, text]) => (
          <li key={title}>
            <Command title={title} text={text} />
          </li>
        ))}
      </ol>
    </>
  );
}
