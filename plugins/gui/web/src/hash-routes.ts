/** The addresses of the GUI of Kuma 0.3.2, which had its routes behind `#`. */

const POLICIES: Record<string, string> = {
  "health-checks": "health-checks",
  "proxy-templates": "proxytemplates",
  "traffic-logs": "traffic-logs",
  "traffic-log": "traffic-logs",
  "traffic-permissions": "traffic-permissions",
  "traffic-routes": "traffic-routes",
};

/** Where an old address leads to; `null` for a hash that is none. */
export function fromHash(hash: string): string | null {
  if (!hash.startsWith("#/")) return null;
  const [first = "", section = "", name = ""] = hash.slice(2).split("?")[0]!.split("/");
  if (first === "" || first === "overview" || first === "404") return "/";
  if (first === "get-started") return "/first-run";
  return `/meshes/${first}${within(section, name)}`;
}

function within(section: string, name: string): string {
  const last = name ? `/${name}` : "";
  if (section === "dataplanes" || section === "services") return `/${section}${last}`;
  const kind = POLICIES[section];
  return kind ? `/policies/${kind}${last}` : "";
}
