import { useLive } from "../live";
import { Loaded } from "../parts";
import { type Overview, tagSets } from "./answers";
import { Command } from "./command";
import { type Configuration, placeOf, startCommands, whereFrom } from "./commands";

/** How the proxy of a dataplane is started, with what this control plane really listens on. */
export function StartCommand({ of: found }: { of: Overview }) {
  const services = [...new Set(tagSets(found).map((tags) => tags["service"] ?? ""))].filter(Boolean);
  const config = useLive<Configuration>("/config", { kinds: [] });
  return (
    <Loaded of={config}>
      {(data) => {
        const place = placeOf(data, location.hostname);
        return (
          <>
            <p>{whereFrom(place)}</p>
            {startCommands(place, found.mesh, found.name, services).map(([title, text]) => (
              <Command key={title} title={title} text={text} />
            ))}
          </>
        );
      }}
    </Loaded>
  );
}
