/** The health of a proxy or a service in the four words of the server, each by colour, shape and text. */

export type State = "Online" | "Degraded" | "Offline" | "Never connected";

const LOOKS: Record<State, [mark: string, name: string]> = {
  Online: ["●", "online"],
  Degraded: ["▲", "degraded"],
  Offline: ["■", "offline"],
  "Never connected": ["○", "never"],
};

/** The badge; `text` says something else beside the mark, such as a count. */
export function Health({ value, text }: { value: string; text?: string }) {
  const [mark, name] = LOOKS[value as State] ?? ["?", "never"];
  return (
    <span class={`health health-${name}`}>
      <span aria-hidden="true">{mark}</span> {text ?? value}
    </span>
  );
}
