import type { Tags } from "./answers";

/** Tags as `key=value`, each a chip of its own; what they say is text, whatever stands in it. */
export function TagList({ of: sets }: { of: Tags[] }) {
  const texts = new Set(sets.flatMap((tags) => Object.entries(tags).map(([key, value]) => `${key}=${value}`)));
  if (!texts.size) return <span class="quiet">none</span>;
  return (
    <ul class="tags">
      {[...texts].map((text) => (
        <li key={text} title={text}>
          {text}
        </li>
      ))}
    </ul>
  );
}
