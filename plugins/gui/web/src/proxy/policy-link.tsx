import type { Kinds } from "../kinds";
import { policyPlace } from "../policies/places";
import { Link } from "../router";
import type { Named } from "./answers";

/** A policy by kind and name, which leads to its page. */
export function PolicyLink({ mesh, of: { kind, name }, kinds }: { mesh: string; of: Named; kinds: Kinds | undefined }) {
  return (
    <Link to={policyPlace(mesh, kinds, kind, name)}>
      {kind} {name}
    </Link>
  );
}
