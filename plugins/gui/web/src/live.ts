/** Data that stays true: read once, and again whenever the control plane tells that it changed. */

import { effect, type ReadonlySignal, signal, useSignal } from "@preact/signals";
import { useEffect, useRef } from "preact/hooks";
import { ApiError, authorization, get } from "./api";
import { connection, listen, listening, paused, reached } from "./connection";
import type { Told } from "./stream";

export { connection, paused } from "./connection";

const PACE_MILLISECONDS = 1_000;
/**
 * How often in a row an answer that says by `current` that it is a moment old is asked for anew: after a second, two, four,
 * and so on. An event tells what is stored; the control plane may gather many of them before its maps show them.
 */
const MOST_REPEATS = 5;

export interface Wanted {
  /** Kinds of resources, as `/kinds` names them; left out: all. */
  kinds?: string[];
  /** Types of events beside those of the kinds, such as `findings`. */
  events?: string[];
  /** The mesh; left out: all. */
  mesh?: string;
}

export interface Live<T> {
  data: T | undefined;
  error: ApiError | undefined;
  loading: boolean;
  /** When `data` was read, in milliseconds since 1970; 0 for never. */
  at: number;
  /** Whether `data` may be old: the last read failed, or the control plane is not heard. */
  stale: boolean;
  retry: () => void;
}

interface Held<T> {
  data: T | undefined;
  error: ApiError | undefined;
  loading: boolean;
  at: number;
}

/** Read `path` of the REST API, and again with each event that is wanted; `null` reads nothing. */
export function useLive<T>(path: string | null, wanted: Wanted = {}): Live<T> {
  const held = useSignal<Held<T>>({ data: undefined, error: undefined, loading: path !== null, at: 0 });
  const retry = useRef<() => void>(() => {});
  const key = JSON.stringify(wanted);
  useEffect(() => {
    if (path === null) {
      held.value = { data: undefined, error: undefined, loading: false, at: 0 };
      return;
    }
    const reading = new Reading<T>(path, (change) => (held.value = { ...held.peek(), ...change }));
    retry.current = () => reading.again(true);
    const end = [
      listen((event) => concerns(event, JSON.parse(key) as Wanted) && reading.again()),
      effect(() => void (paused.value || reading.resume())),
      reauthorized(() => reading.again(true)),
    ];
    void listening.then(() => reading.again(true));
    return () => {
      end.forEach((stop) => stop());
      reading.close();
    };
  }, [path, key]);
  const now = held.value;
  const stale = now.at > 0 && (now.error !== undefined || connection.value === "lost");
  return { ...now, stale, retry: () => retry.current() };
}

/** Tells of a new token, and not of the one that is there already. */
function reauthorized(read: () => void): () => void {
  let first = true;
  return effect(() => {
    authorization.value;
    if (!first) queueMicrotask(read);
    first = false;
  });
}

/** Whether an event is a reason to read again; after `begin` and `reset` everything may be another one. */
export function concerns(event: Told, { kinds, events, mesh }: Wanted): boolean {
  if (event.type === "begin" || event.type === "reset") return true;
  if (mesh && event.data.mesh && event.data.mesh !== mesh) return false;
  if (events?.includes(event.type)) return true;
  if (!kinds) return !events;
  return event.data.kind !== undefined && kinds.includes(event.data.kind);
}

/** Reads one path: never twice at once, and no more than once a second, however many events come. */
class Reading<T> {
  private readonly left = new AbortController();
  private readonly path: string;
  private readonly tell: (change: Partial<Held<T>>) => void;
  private busy = false;
  private wanted = false;
  private began = -Infinity;
  private timer = 0;
  private repeats = 0;

  constructor(path: string, tell: (change: Partial<Held<T>>) => void) {
    this.path = path;
    this.tell = tell;
  }

  /** Read soon; at once, and paused or not, if the reader asks for it. */
  again(asked = false): void {
    this.repeats = 0;
    this.soon(asked);
  }

  private soon(asked = false): void {
    this.wanted = true;
    if (this.left.signal.aborted || this.busy || (paused.peek() && !asked)) return;
    const pace = PACE_MILLISECONDS * 2 ** Math.max(0, this.repeats - 1);
    const pause = asked ? 0 : Math.max(0, this.began + pace - performance.now());
    clearTimeout(this.timer);
    this.timer = window.setTimeout(() => void this.read(), pause);
  }

  resume(): void {
    if (this.wanted) this.again();
  }

  close(): void {
    clearTimeout(this.timer);
    this.left.abort();
  }

  private async read(): Promise<void> {
    this.busy = true;
    this.wanted = false;
    this.began = performance.now();
    this.tell({ loading: true });
    try {
      const data = await get<T>(this.path, { signal: this.left.signal });
      if (!this.left.signal.aborted) this.tell({ data, error: undefined, loading: false, at: Date.now() });
      reached(true);
      if (isOld(data) && this.repeats < MOST_REPEATS) {
        this.repeats += 1;
        this.wanted = true;
      }
    } catch (error) {
      this.failed(error);
    } finally {
      this.busy = false;
      if (this.wanted) this.soon();
    }
  }

  private failed(error: unknown): void {
    if (this.left.signal.aborted) return;
    const told = error instanceof ApiError ? error : new ApiError(0, "The page failed", String(error));
    if (told.status === 0) reached(false);
    this.tell({ error: told, loading: false });
  }
}

/** Maps and what is made of them are made once a second at most; `current` is false where the next one says more. */
function isOld(data: unknown): boolean {
  return typeof data === "object" && data !== null && (data as { current?: unknown }).current === false;
}

const clock = signal(Date.now());
setInterval(() => (clock.value = Date.now()), 1_000);

/** The time of now, once a second, for whoever shows how old something is. */
export const now: ReadonlySignal<number> = clock;
