/** What the reader can change about the picture. Nothing here happens by itself. */

import { useId } from "preact/hooks";
import { useTyped } from "../parts";
import { setQuery } from "../router";
import type { ServiceMap, Verdict } from "./answer";
import { type Choice, focusOn, zoomed } from "./choice";
import { exportDrawing } from "./export";
import { EVERYTHING, type Scene, tagsOf } from "./scene";
import { LOOKS } from "./words";

interface Props {
  map: ServiceMap;
  scene: Scene;
  choice: Choice;
}

export function Controls({ map, scene, choice }: Props) {
  return (
    <div class="map-controls" role="group" aria-label="What the map shows">
      <Focus map={map} scene={scene} choice={choice} />
      <label>
        Group by
        <select value={choice.group} onChange={(event) => setQuery({ group: event.currentTarget.value })}>
          <option value="">nothing</option>
          {tagsOf(map).map((tag) => (
            <option key={tag} value={tag}>{tag}</option>
          ))}
        </select>
      </label>
      <label class="check">
        <input
          type="checkbox"
          checked={choice.hidesIdle}
          onChange={(event) => setQuery({ idle: event.currentTarget.checked ? "hidden" : null })}
        />
        Hide idle calls
      </label>
      <Zoom choice={choice} />
      <button type="button" class="small" onClick={() => exportDrawing(`service-map-${map.mesh}.svg`)}>
        Export SVG
      </button>
    </div>
  );
}

/** Around which service the map is; it can be typed, since there may be hundreds. */
function Focus({ map, scene, choice }: Props) {
  const list = useId();
  const typed = useTyped(scene.focus === EVERYTHING ? "" : scene.focus);
  const take = (event: Event) => {
    const field = event.currentTarget as HTMLInputElement;
    const isKnown = field.value === "" || map.nodes.some((node) => node.name === field.value);
    field.setCustomValidity(isKnown ? "" : `There is no service “${field.value}” in this mesh`);
    if (field.reportValidity()) focusOn(field.value || EVERYTHING);
  };
  return (
    <>
      <label>
        Around
        <input
          type="search"
          list={list}
          placeholder="all services"
          value={typed}
          onInput={(event) => (typed.value = event.currentTarget.value)}
          onChange={take}
        />
      </label>
      <datalist id={list}>
        {map.nodes.map((node) => <option key={node.name} value={node.name} />)}
      </datalist>
      {scene.focus !== EVERYTHING && (
        <label>
          Steps
          <select value={choice.steps} onChange={(event) => setQuery({ steps: event.currentTarget.value })}>
            {[1, 2, 3].map((steps) => <option key={steps} value={steps}>{steps}</option>)}
          </select>
        </label>
      )}
    </>
  );
}

function Zoom({ choice }: { choice: Choice }) {
  const to = (zoom: number) => setQuery({ zoom: zoom === 1 ? null : zoom });
  return (
    <span class="map-zoom" role="group" aria-label="Size of the picture">
      <button type="button" class="small" aria-label="Smaller" onClick={() => to(zoomed(choice.zoom, false))}>−</button>
      <span aria-live="polite">{Math.round(choice.zoom * 100)} %</span>
      <button type="button" class="small" aria-label="Larger" onClick={() => to(zoomed(choice.zoom, true))}>+</button>
      <button type="button" class="small" onClick={() => to(fitting(choice.zoom))}>Fit</button>
    </span>
  );
}

/** The zoom at which the whole picture is within the frame, no larger than it was made. */
function fitting(zoom: number): number {
  const frame = document.querySelector(".map-frame");
  const drawing = document.querySelector(".map-drawing");
  if (!frame || !drawing) return zoom;
  const size = drawing.getBoundingClientRect();
  const room = Math.min(frame.clientWidth / size.width, frame.clientHeight / size.height);
  return Math.max(0.1, Math.min(1, Math.floor(zoom * room * 100) / 100));
}

/** What the lines mean, each as it is drawn. */
export function Legend() {
  return (
    <ul class="map-legend" aria-label="What the lines mean">
      {(Object.keys(LOOKS) as Verdict[]).map((verdict) => (
        <li key={verdict}>
          <Sample verdict={verdict} />
          <span>
            <b>{LOOKS[verdict].mark} {LOOKS[verdict].word}</b>: {LOOKS[verdict].meaning}
          </span>
        </li>
      ))}
    </ul>
  );
}

/** A short line as the picture draws it. */
export function Sample({ verdict }: { verdict: string }) {
  return (
    <svg class="map-sample" width="36" height="12" aria-hidden="true">
      <g class={`map-line verdict-${verdict}`}>
        <path class="map-stroke" d="M0 6H36" />
        {verdict === "plaintext" && <path class="map-core" d="M0 6H36" />}
      </g>
    </svg>
  );
}
