import { Copy } from "./copy";
import { toYaml } from "./to-yaml";

/** A resource as YAML, to read and to copy. */
export function Yaml({ of, label = "YAML" }: { of: unknown; label?: string }) {
  const text = toYaml(of);
  return (
    <div class="yaml">
      <Copy text={text} label={`Copy ${label}`} />
      <pre tabIndex={0} aria-label={label}>
        {text}
      </pre>
    </div>
  );
}
