/** What a path says by a pattern such as `/meshes/:mesh/dataplanes`; `null` if it does not fit. */
export function matched(pattern: string, path: string): Record<string, string> | null {
  const wanted = parts(pattern);
  const given = parts(path);
  if (wanted.length !== given.length) return null;
  const params: Record<string, string> = {};
  for (const [place, part] of wanted.entries()) {
    const text = decoded(given[place] ?? "");
    if (part.startsWith(":")) params[part.slice(1)] = text;
    else if (part !== text) return null;
  }
  return params;
}

function parts(path: string): string[] {
  return path.split("/").filter(Boolean);
}

/** An address that somebody typed may hold a `%` that begins nothing. */
function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
