import { Health } from "../health";
import type { Service } from "../map/answer";

const WORDS = [
  ["online", "Online"],
  ["degraded", "Degraded"],
  ["offline", "Offline"],
  ["neverConnected", "Never connected"],
] as const;

/** How many proxies of a service are in which state, as far as there are any. */
export function InstanceCounts({ of: { isGhost, instances } }: { of: Service }) {
  if (isGhost) return <span class="quiet">nobody offers it</span>;
  return (
    <span class="beside">
      {WORDS.filter(([key]) => instances[key] > 0).map(([key, word]) => (
        <Health key={key} value={word} text={`${instances[key]} ${word.toLowerCase()}`} />
      ))}
    </span>
  );
}
