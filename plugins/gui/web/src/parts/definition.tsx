import type { ComponentChildren } from "preact";

/** Names with what they stand for; an entry without a value is left out. */
export function Definition({ of }: { of: [name: string, value: ComponentChildren][] }) {
  return (
    <dl class="definition">
      {of
        .filter(([, value]) => value !== undefined && value !== null && value !== "")
        .map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}
