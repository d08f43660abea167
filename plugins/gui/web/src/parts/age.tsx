import { now } from "../live";

const UNITS: [seconds: number, name: string][] = [
  [86_400, "d"],
  [3_600, "h"],
  [60, "min"],
  [1, "s"],
];

/** A span as `42 s`, `3 min`, `5 h` or `12 d`. */
export function span(seconds: number): string {
  const [size, name] = UNITS.find(([size]) => seconds >= size) ?? [1, "s"];
  return `${Math.max(0, Math.floor(seconds / size))} ${name}`;
}

/** How long ago a time of the API (RFC 3339) or a number of milliseconds was; it goes on by itself. */
export function Age({ at, never = "never" }: { at: string | number | undefined; never?: string }) {
  const moment = typeof at === "number" ? at : Date.parse(at ?? "");
  if (!moment) return <span class="quiet">{never}</span>;
  const seconds = (now.value - moment) / 1_000;
  const exact = new Date(moment).toISOString();
  const text = seconds < 0 ? `in ${span(-seconds)}` : `${span(seconds)} ago`;
  return (
    <time dateTime={exact} title={exact}>
      {text}
    </time>
  );
}
