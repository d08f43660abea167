/** The map of a mesh at a glance; a click leads to the whole one. */

import { useMemo } from "preact/hooks";
import { useLive } from "../live";
import type { ServiceMap } from "../map/answer";
import { NOTHING_CHOSEN } from "../map/choice";
import { Drawing } from "../map/drawing";
import { EVERYTHING, sceneOf, sizeText } from "../map/scene";
import { Loaded } from "../parts";
import { go, inPath, Link } from "../router";
import "../map/map.css";

/** A picture of more services than this says nothing at a glance. */
const MOST_SERVICES = 40;

export function MapPreview({ mesh }: { mesh: string }) {
  const found = useLive<ServiceMap>(`${inPath("meshes", mesh)}/service-map`, { mesh });
  return (
    <section aria-labelledby="map-preview">
      <h2 id="map-preview">Service map of {mesh}</h2>
      <Loaded of={found}>{(map) => <Glance map={map} />}</Loaded>
    </section>
  );
}

function Glance({ map }: { map: ServiceMap }) {
  const to = inPath("meshes", map.mesh, "map");
  if (map.nodes.length === 0) return <p class="quiet">There is no service yet.</p>;
  return (
    <>
      {map.nodes.length <= MOST_SERVICES && <Small map={map} to={to} />}
      <p><Link to={to}>Open the map: {sizeText({ services: map.nodes, calls: map.edges })}</Link></p>
    </>
  );
}

/** It leads to the whole map for the mouse; the link below is the way for the keyboard. */
function Small({ map, to }: { map: ServiceMap; to: string }) {
  const scene = useMemo(() => sceneOf(map, { ...NOTHING_CHOSEN, focus: EVERYTHING }), [map]);
  return (
    <div class="map-preview" onClick={() => go(to)}>
      <Drawing scene={scene} choice={NOTHING_CHOSEN} label={sizeText(scene)} />
    </div>
  );
}
