/** The picture of a map. It is for the eye and the mouse; the lists beside it say the same to everybody. */

import { useMemo } from "preact/hooks";
import { NODE_HEIGHT, NODE_WIDTH, type Place, type Point } from "../layout/graph.ts";
import { apart, middle, path } from "../layout/lines.ts";
import type { Service } from "./answer";
import { type Choice, isLineDim, isSelected, litServices, selectCall, selectService } from "./choice";
import { isIdle, type Line, type Scene } from "./scene";
import { instancesText, lookOf, shortened, splitTexts, stateOf } from "./words";

/** The words of more lines than this would cover each other. */
const MANY_LINES = 60;
const LONGEST_NAME = 20;
const TROUBLE: ReadonlySet<string> = new Set(["denied", "noEndpoint", "partly"]);
const MOST_PARTS = 3;
const LONGEST_PART = 24;
const RING = 9;
const RING_LENGTH = 2 * Math.PI * RING;

export function Drawing({ scene, choice, label }: { scene: Scene; choice: Choice; label: string }) {
  const { picture, lines, services } = scene;
  const lit = litServices(choice, lines);
  const paths = useMemo(() => picture.lines.map(path), [picture]);
  const isTold = labelled(lines, choice);
  const labels = labelsOf(scene, isTold);
  return (
    <svg
      class="map-drawing"
      role="img"
      aria-label={label}
      width={picture.width * choice.zoom}
      height={picture.height * choice.zoom}
      viewBox={`0 0 ${picture.width} ${picture.height}`}
    >
      <Arrows />
      {picture.lanes.map((lane) => (
        <g key={lane.name} class="map-lane">
          <rect x={8} y={lane.y} width={picture.width - 16} height={lane.height} rx={8} />
          <text x={20} y={lane.y + 20}>{lane.name}</text>
        </g>
      ))}
      {lines.map((line, index) =>
        choice.hidesIdle && isIdle(line.call) ? null : (
          <LineView
            key={`${line.source}\n${line.target}\n${line.call.destination}`}
            line={line}
            d={paths[index] ?? ""}
            at={isTold[index] ? labels.get(index) : undefined}
            isDim={isLineDim(choice, line)}
            isChosen={isSelected(choice, line.call)}
          />
        ),
      )}
      {services.map((service) => (
        <NodeView
          key={service.name}
          service={service}
          place={picture.places.get(service.name) ?? { x: 0, y: 0 }}
          isDim={lit !== undefined && !lit.has(service.name)}
          isChosen={choice.service === service.name}
        />
      ))}
    </svg>
  );
}

const VERDICTS = ["allowed", "partly", "denied", "plaintext", "noEndpoint", "unknown"] as const;

function Arrows() {
  return (
    <defs>
      {VERDICTS.map((verdict) => (
        <marker
          key={verdict}
          id={`arrow-${verdict}`}
          class={`map-arrow verdict-${verdict}`}
          viewBox="0 0 10 10"
          refX="9"
          refY="5"
          markerUnits="userSpaceOnUse"
          markerWidth="10"
          markerHeight="10"
          orient="auto"
        >
          <path d="M0 0L10 5L0 10Z" />
        </marker>
      ))}
    </defs>
  );
}

interface LineProps {
  line: Line;
  d: string;
  /** Where its label stands; none if it has none. */
  at: Point | undefined;
  isDim: boolean;
  isChosen: boolean;
}

function LineView({ line, d, at, isDim, isChosen }: LineProps) {
  const { call, isLed } = line;
  const classes = ["map-line", `verdict-${call.verdict}`, isDim && "dim", isChosen && "chosen", isLed && "led"];
  return (
    <g class={classes.filter(Boolean).join(" ")} onClick={() => selectCall(call)}>
      <title>{`${call.source} → ${line.target}: ${lookOf(call.verdict).word}. ${call.reason}`}</title>
      <path class="map-hit" d={d} />
      <path class="map-stroke" d={d} marker-end={isLed ? undefined : `url(#arrow-${call.verdict})`} />
      {call.verdict === "plaintext" && <path class="map-core" d={d} />}
      {at && <Label line={line} at={at} />}
    </g>
  );
}

/**
 * Which lines have a label: all that are shown; where those are too many, what is selected, or the trouble; where even that
 * is too much, none.
 */
function labelled(lines: readonly Line[], choice: Choice): boolean[] {
  const isShown = lines.map((line) => !isLineDim(choice, line) && !(choice.hidesIdle && isIdle(line.call)));
  if (isFew(isShown)) return isShown;
  const isTrouble = lines.map((line, index) => isShown[index] === true && TROUBLE.has(line.call.verdict));
  return isFew(isTrouble) ? isTrouble : lines.map(() => false);
}

function isFew(told: readonly boolean[]): boolean {
  return told.filter(Boolean).length <= MANY_LINES;
}

/** Where the labels stand, by the index of their line. */
function labelsOf({ lines, picture }: Scene, isTold: readonly boolean[]): Map<number, Point> {
  const told = lines.map((_, index) => index).filter((index) => isTold[index]);
  const wanted = told.map((index) => {
    const line = lines[index];
    return { ...middle(picture.lines[index] ?? []), rows: line ? rowsOf(line).length : 0 };
  });
  const found = apart(wanted);
  return new Map(told.map((index, place) => [index, found[place] ?? { x: 0, y: 0 }]));
}

/** What a label says: the verdict and the parts of a split, or which part is led here. */
function rowsOf({ call, isLed, share }: Line): string[] {
  if (isLed) return [`${Math.round(share * 1000) / 10} % of ${shortened(call.destination, LONGEST_PART)}`];
  const look = lookOf(call.verdict);
  const parts = splitTexts(call).slice(0, MOST_PARTS);
  return [`${look.mark} ${look.word}`, ...parts.map((part) => shortened(part, LONGEST_PART))];
}

function Label({ line, at }: { line: Line; at: Point }) {
  const [first, ...parts] = rowsOf(line);
  return (
    <text class="map-label" x={at.x} y={at.y - 4}>
      {first}
      {parts.map((part) => (
        <tspan key={part} class="map-split" x={at.x} dy={14}>{part}</tspan>
      ))}
    </text>
  );
}

interface NodeProps {
  service: Service;
  place: Place;
  isDim: boolean;
  isChosen: boolean;
}

function NodeView({ service, place, isDim, isChosen }: NodeProps) {
  const state = service.isGhost ? "ghost" : stateOf(service.instances).toLowerCase().replace(" ", "-");
  const classes = ["map-node", `state-${state}`, isDim && "dim", isChosen && "chosen", service.isGateway && "gateway"];
  const text = instancesText(service.instances, service.isGhost);
  return (
    <g
      class={classes.filter(Boolean).join(" ")}
      transform={`translate(${place.x} ${place.y})`}
      onClick={() => selectService(service.name)}
    >
      <title>{`${service.name}: ${text}`}</title>
      <rect width={NODE_WIDTH} height={NODE_HEIGHT} rx={service.isGateway ? NODE_HEIGHT / 2 : 8} />
      <Ring service={service} />
      <text class="map-name" x={38} y={20}>{shortened(service.name, LONGEST_NAME)}</text>
      <text class="map-count" x={38} y={37}>{service.isGateway ? `gateway · ${text}` : text}</text>
    </g>
  );
}

/** A ring with the part of the instances that serve. */
function Ring({ service }: { service: Service }) {
  const { total, online, degraded } = service.instances;
  const part = total > 0 ? (online + degraded) / total : 0;
  return (
    <g class="map-ring" transform={`translate(20 ${NODE_HEIGHT / 2}) rotate(-90)`}>
      <circle r={RING} />
      {part > 0 && <circle class="part" r={RING} stroke-dasharray={`${part * RING_LENGTH} ${RING_LENGTH}`} />}
    </g>
  );
}
