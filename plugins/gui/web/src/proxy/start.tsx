import { useLive } from "../live";
import { Loaded } from "../parts";
import { Command } from "./command";
import { type Configuration, placeOf, startCommands, whereFrom } from "./commands";

/** How the proxy of a dataplane is started, with what this control plane really listens on. */
export function StartCommand({ mesh, name }: { mesh: string; name: string }) {
  const config = useLive<Configuration>("/config", { kinds: [] });
  return (
    <Loaded of={config}>
      {(data) => {
        const place = placeOf(data, location.hostname);
        return (
          <>
            <p>{whereFrom(place)}</p>
            {startCommands(place, mesh, name).map(([title, text]) => (
              <Command key={title} title={title} text={text} />
            ))}
          </>
        );
      }}
    </Loaded>
  );
}
