import { useLive } from "../live";
import { Loaded } from "../parts";
import { ofMesh } from "../proxy/answers";

interface Findings {
  items: { id: string; text: string; advice: string }[];
}

/** The findings that matter before there is anything else: what is lost at the end, and a mesh that refuses all calls. */
const EARLY = ["memory-store", "mtls-without-permission"];

export function Warnings({ mesh }: { mesh: string }) {
  const found = useLive<Findings>(ofMesh(mesh, "findings"), { kinds: ["Mesh"], events: ["findings"], mesh });
  return (
    <Loaded of={found}>
      {({ items }) =>
        items
          .filter((item) => EARLY.includes(item.id))
          .map((item) => (
            <div class="notice" key={item.id} role="note">
              <p class="problem-title">{sentence(item.text)}</p>
              <p>{sentence(item.advice)}</p>
            </div>
          ))
      }
    </Loaded>
  );
}

/** The server's texts begin small and have no full stop, since they stand in tables, too; `mTLS` stays as it is. */
function sentence(text: string): string {
  if (/^[a-z][A-Z]/.test(text)) return `${text}.`;
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
