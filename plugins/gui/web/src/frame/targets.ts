/** Where the palette leads to. */

import { get } from "../api";
import { type Kind, type Kinds, policyKinds, spaced } from "../kinds";
import { someMesh } from "../mesh";
import { address, inPath } from "../router";
import { PLACES } from "./keys";

export interface Target {
  title: string;
  what: string;
  path: string;
}

interface Names {
  items: { name: string }[];
}

const MOST_OF_EACH = 5;

/** Pages, meshes and kinds whose names hold all the words. */
export async function known(words: string, signal: AbortSignal): Promise<Target[]> {
  const [meshes, brought] = await Promise.all([names("/meshes", signal), policies()]);
  const mesh = someMesh();
  const all: Target[] = [
    ...Object.values(PLACES).map(([title, path]) => ({ title, what: "page", path: path() })),
    ...meshes.map((name) => ({ title: name, what: "mesh", path: inPath("meshes", name) })),
    ...brought.map((kind) => ({
      title: spaced(kind.name),
      what: `policies of ${mesh}`,
      path: inPath("meshes", mesh, "policies", kind.path),
    })),
  ];
  const wanted = words.toLowerCase().split(/\s+/);
  return all.filter(({ title, what }) => wanted.every((word) => `${title} ${what}`.toLowerCase().includes(word)));
}

/** Services, dataplanes and policies of the mesh that the server finds by name. */
export async function found(words: string, signal: AbortSignal): Promise<Target[]> {
  const mesh = someMesh();
  const base = inPath("meshes", mesh);
  const query = { q: words.trim(), size: MOST_OF_EACH };
  const each = async (what: string, api: string, page: string): Promise<Target[]> =>
    (await names(address(base + api, query), signal)).map((name) => ({ title: name, what, path: base + page + inPath(name) }));
  const parts = await Promise.all([
    each("service", "/services", "/services"),
    each("dataplane", "/dataplanes", "/dataplanes"),
    ...(await policies()).map((kind) => each(spaced(kind.name), `/${kind.path}`, `/policies/${kind.path}`)),
  ]);
  return parts.flat();
}

/** A list that cannot be read has nothing to offer here; its own page tells the error. */
async function names(path: string, signal: AbortSignal): Promise<string[]> {
  const list = await get<Names>(path, { signal }).catch(() => ({ items: [] }));
  return list.items.map((item) => item.name);
}

/** Read once for all letters that are typed: kinds change with the control plane alone. */
let kinds: Promise<Kind[]> | undefined;

function policies(): Promise<Kind[]> {
  kinds ??= get<Kinds>("/kinds").then(policyKinds, () => {
    kinds = undefined;
    return [];
  });
  return kinds;
}
