import type { ComponentChildren } from "preact";
import { policyKinds, spaced, useKinds } from "../kinds";
import { useLive } from "../live";
import { mesh } from "../mesh";
import { go, inPath, Link, route } from "../router";
import { menu } from "./dialogs";

const WITHIN: [title: string, ...parts: string[]][] = [
  ["Overview"],
  ["Service map", "map"],
  ["Services", "services"],
  ["Dataplanes", "dataplanes"],
  ["Certificates", "certificates"],
  ["Explain", "explain"],
];

/** Which mesh, and what of it. */
export function Sidebar() {
  const close = () => (menu.value = false);
  return (
    <nav id="sidebar" class={menu.value ? "sidebar shown" : "sidebar"} aria-label="Pages" onClick={close}>
      <Meshes />
      <ul>
        <Entry to="/">All meshes</Entry>
      </ul>
      {mesh.value && <Within name={mesh.value} />}
      <ul class="last">
        <Entry to="/first-run">First steps</Entry>
      </ul>
    </nav>
  );
}

function Meshes() {
  const { data } = useLive<{ items: { name: string }[] }>("/meshes", { kinds: ["Mesh"] });
  const names = data?.items.map((item) => item.name) ?? [];
  const current = mesh.value;
  // One that does not exist, or not any more, is shown all the same: it is what the page is about.
  const shown = current && !names.includes(current) ? [...names, current] : names;
  return (
    <label class="meshes" onClick={(event) => event.stopPropagation()}>
      <span>Mesh</span>
      <select value={current} onChange={(event) => choose(event.currentTarget.value)}>
        <option value="">All meshes</option>
        {shown.map((name) => (
          <option key={name} value={name} selected={name === current}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}

/** The same kind of page of another mesh: a single resource of the old one is none of the new one. */
function choose(name: string): void {
  const { path, params } = route.peek();
  const [, , ...rest] = path.split("/").filter(Boolean);
  const kept = params["name"] ? rest.slice(0, -1) : rest;
  const section = params["name"] && rest.at(-1) === "xds" ? rest.slice(0, -2) : kept;
  go(name ? inPath("meshes", name, ...(params["mesh"] ? section : [])) : "/");
}

function Within({ name }: { name: string }) {
  const policies = policyKinds(useKinds().data);
  return (
    <>
      <h2>{name}</h2>
      <ul>
        {WITHIN.map(([title, ...parts]) => (
          <Entry key={title} to={inPath("meshes", name, ...parts)}>
            {title}
          </Entry>
        ))}
      </ul>
      {policies.length > 0 && <h2>Policies</h2>}
      <ul>
        {policies.map((kind) => (
          <Entry key={kind.name} to={inPath("meshes", name, "policies", kind.path)}>
            {spaced(kind.name)}
          </Entry>
        ))}
      </ul>
    </>
  );
}

function Entry({ to, children }: { to: string; children: ComponentChildren }) {
  const { path } = route.value;
  const isDeeper = to.split("/").length > 3 && path.startsWith(`${to}/`);
  return (
    <li>
      <Link to={to} aria-current={path === to || isDeeper ? "page" : undefined}>
        {children}
      </Link>
    </li>
  );
}
