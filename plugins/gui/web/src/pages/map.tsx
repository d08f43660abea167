/** The service map: a picture, its lists, and a panel for what is selected. */

import { useEffect, useMemo, useRef } from "preact/hooks";
import { useLive } from "../live";
import type { ServiceMap } from "../map/answer";
import { type Choice, focusOn, selectNothing, useChoice } from "../map/choice";
import { Controls, Legend } from "../map/controls";
import { Drawing } from "../map/drawing";
import { CallList, ServiceList } from "../map/lists";
import { Panel } from "../map/panel";
import { EVERYTHING, type Scene, sceneOf, sizeText } from "../map/scene";
import { Empty, Heading, Loaded } from "../parts";
import { inPath, Link, route, setQuery } from "../router";
import "../map/map.css";

export default function Page() {
  const { mesh = "" } = route.value.params;
  const found = useLive<ServiceMap>(`${inPath("meshes", mesh)}/service-map`, { mesh });
  return (
    <>
      <Heading title="Service map" />
      <Loaded of={found}>{(map) => (map.nodes.length > 0 ? <Whole map={map} /> : <Nothing />)}</Loaded>
    </>
  );
}

function Nothing() {
  return (
    <Empty title="There is no service yet">
      <p>A service is there as soon as a dataplane offers or calls one. <Link to="/first-run">Add the first one</Link></p>
    </Empty>
  );
}

function Whole({ map }: { map: ServiceMap }) {
  const choice = useChoice();
  const scene = useScene(map, choice);
  const label = `${sizeText(scene)}; the lists below say the same`;
  return (
    <div class="map-page">
      <Controls map={map} scene={scene} choice={choice} />
      <FocusNote map={map} scene={scene} />
      <div class="map-columns">
        <Frame>
          <Drawing scene={scene} choice={choice} label={label} />
        </Frame>
        <Panel mesh={map.mesh} scene={scene} choice={choice} />
      </div>
      <Legend />
      <div class="map-lists">
        <CallList scene={scene} choice={choice} />
        <ServiceList scene={scene} choice={choice} />
      </div>
    </div>
  );
}

/** The scene of an answer. As long as the same services call each other, the picture comes out as it was. */
function useScene(map: ServiceMap, { focus, steps, group, selected }: Choice): Scene {
  const scene = useMemo(() => {
    const start = performance.now();
    const found = sceneOf(map, { focus, steps, group, selected });
    performance.measure("service map", { start, detail: found.services.length });
    return found;
  }, [map, focus, steps, group, focus ? "" : selected]);
  // What a large map begins with is kept in the address: what is selected or comes later does not move the map.
  useEffect(() => {
    if (!focus && scene.focus !== EVERYTHING) setQuery({ focus: scene.focus });
  }, [focus, scene]);
  return scene;
}

function FocusNote({ map, scene }: { map: ServiceMap; scene: Scene }) {
  if (scene.focus === EVERYTHING) return null;
  return (
    <p class="map-note" role="status">
      The map shows {scene.services.length} of {map.nodes.length} services: those around <b>{scene.focus}</b>.{" "}
      <button type="button" class="small" onClick={() => focusOn(EVERYTHING)}>Show all</button>
    </p>
  );
}

/** What the picture lies in: it scrolls, and can be pulled with the mouse. A click beside everything selects nothing. */
function Frame({ children }: { children: preact.ComponentChildren }) {
  const pulled = useRef<{ x: number; y: number; moved: boolean } | undefined>(undefined);
  const onPointerDown = (event: PointerEvent) => {
    if (event.pointerType === "mouse" && event.button === 0) pulled.current = { x: event.clientX, y: event.clientY, moved: false };
  };
  const onPointerMove = (event: PointerEvent) => {
    const from = pulled.current;
    if (!from || event.buttons !== 1) return;
    (event.currentTarget as Element).scrollBy(from.x - event.clientX, from.y - event.clientY);
    pulled.current = { x: event.clientX, y: event.clientY, moved: true };
  };
  const onClick = (event: MouseEvent) => {
    const isBeside = !(event.target as Element).closest(".map-node, .map-line");
    if (isBeside && !pulled.current?.moved) selectNothing();
    pulled.current = undefined;
  };
  return (
    <div
      class="map-frame"
      tabIndex={0}
      role="region"
      aria-label="Picture of the map"
      onPointerDown={onPointerDown}
      onPointerMove={onPointerMove}
      onClick={onClick}
    >
      {children}
    </div>
  );
}
