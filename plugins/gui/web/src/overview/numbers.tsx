/** Numbers to begin with, each with the way to what it counts. */

import { spaced } from "../kinds";
import type { Kinds } from "../kinds";
import { Badge } from "../parts";
import { inPath, Link } from "../router";
import type { MeshOverview, Numbers } from "./answer";

const LEVELS = {
  good: ["good", "in order"],
  warning: ["warn", "look at it"],
  error: ["bad", "in trouble"],
  empty: ["plain", "empty"],
} as const;

/** The health of a mesh: a word, and the server's sentence. */
export function MeshHealth({ of: { level, text } }: { of: MeshOverview["health"] }) {
  const [tone, word] = LEVELS[level] ?? LEVELS.empty;
  return (
    <span class="mesh-health">
      <Badge tone={tone}>{word}</Badge> {text}
    </span>
  );
}

export function Tile({ to, count, name, note }: { to: string; count: number; name: string; note?: string }) {
  return (
    <Link to={to} class="tile">
      <strong>{count.toLocaleString("en-US")}</strong>
      {name}
      {note && <span class="quiet"> {note}</span>}
    </Link>
  );
}

/** How many dataplanes are online; nothing where there is none. */
export function onlineNote(found: Numbers): string {
  return found.total > 0 ? `${found.online} online` : "";
}

/** One tile for each kind that operators write in a mesh, plugins' kinds too. */
export function KindTiles({ mesh, kinds, counts }: { mesh: string; kinds: Kinds | undefined; counts: Record<string, number> }) {
  const paths = new Map(kinds?.kinds.map((kind) => [kind.name, kind.path]));
  return (
    <>
      {Object.entries(counts).map(([kind, count]) => (
        <Tile key={kind} to={inPath("meshes", mesh, "policies", paths.get(kind) ?? kind)} count={count} name={plural(kind, count)} />
      ))}
    </>
  );
}

/** `Traffic Permissions`, as people call several of a kind. */
export function plural(kind: string, count: number): string {
  const name = spaced(kind);
  if (count === 1) return name;
  return /[^aeiou]y$/.test(name) ? `${name.slice(0, -1)}ies` : `${name}s`;
}
