import { ApiError } from "../api";
import { Age, Definition, Problem } from "../parts";
import { inPath, Link } from "../router";
import type { Authority, Certificates } from "./answers";

/** Why there is no certificate to tell of; `undefined` if there is one, or trouble with it. */
export function whyNone(found: Certificates | undefined, authority: Authority | undefined): string | undefined {
  if (found?.ends || found?.problem) return undefined;
  if (authority && !authority.encrypted) return "mTLS is off in this mesh, so that proxies get no certificates.";
  return "No certificate was issued to its proxies yet: they ask for one when they connect.";
}

/** The newest certificate of a proxy, and what is wrong with it. */
export function ProxyCertificate({ of: found, mesh }: { of: Certificates; mesh: string }) {
  return (
    <>
      {found.problem && <Problem error={new ApiError(0, "A certificate cannot be issued", found.problem)} />}
      <Definition
        of={[
          ["Made", found.issued && <Age at={found.issued} />],
          ["Ends", found.ends && <Age at={found.ends} />],
          ["Ends on", found.ends && <code>{found.ends}</code>],
          ["Refused so far", found.refused ?? "never"],
        ]}
      />
      <p class="quiet">Its proxy gets the next one after two thirds of the time, by itself.</p>
      <Link to={inPath("meshes", mesh, "certificates")}>All certificates of the mesh</Link>
    </>
  );
}
