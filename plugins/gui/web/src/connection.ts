/** Whether the control plane is heard, and what it tells: by the worker of all tabs, or by polling where there is none. */

import { computed, effect, type ReadonlySignal, signal } from "@preact/signals";
import { authorization, credential } from "./api";
import type { Told } from "./stream";
import type { Message, Order } from "./stream-worker";
import workerUrl from "./stream-worker.ts?sharedworker&url";

export type Connection = "live" | "paused" | "lost";

const POLL_MILLISECONDS = 5_000;

/** After how long the pages are read without the stream; what they miss is read again once it is there. */
const PATIENCE_MILLISECONDS = 500;

const heard = signal<"live" | "lost" | null>(null);
const listeners = new Set<(event: Told) => void>();

/** When the control plane was heard last, in milliseconds since 1970; 0 while it is heard. */
export const lostSince = signal(0);

/** Whether the reader wants the pages to stand still. */
export const paused = signal(false);

export const connection: ReadonlySignal<Connection> = computed(() => {
  if (heard.value === "lost") return "lost";
  return paused.value ? "paused" : "live";
});

effect(() => {
  if (heard.value !== "lost") lostSince.value = 0;
  else if (!lostSince.peek()) lostSince.value = Date.now();
});

/** Hear of every event until the function that comes back is called. */
export function listen(listener: (event: Told) => void): () => void {
  listeners.add(listener);
  return () => void listeners.delete(listener);
}

let nowListening = () => {};
/** Whether pages were read before anything was heard: what happened in between was told to nobody. */
let readUnheard = false;

/** Done when events are heard: what is read from then on misses nothing, and so is read once. */
export const listening = new Promise<void>((done) => {
  const timer = setTimeout(() => {
    readUnheard = true;
    done();
  }, PATIENCE_MILLISECONDS);
  nowListening = () => {
    clearTimeout(timer);
    done();
  };
});

function tell(event: Told): void {
  for (const listener of listeners) listener(event);
}

let polling = false;

/** A read was answered, or not: where nothing streams, this alone tells whether the control plane is there. */
export function reached(answered: boolean): void {
  if (polling) heard.value = answered ? "live" : "lost";
}

/** Begin to listen; with another token anew. */
export function startConnection(): void {
  let end = () => {};
  effect(() => {
    const token = authorization.value;
    end();
    end = typeof SharedWorker === "undefined" ? poll() : work(token);
  });
}

function work(token: string): () => void {
  const worker = new SharedWorker(workerUrl, { type: "module", name: `kuma-events-${hash(token)}` });
  const order = (what: Order) => worker.port.postMessage(what);
  const begin = () => order({ headers: credential() });
  const leave = () => order("leave");
  let stopPolling = () => {};
  worker.port.onmessage = ({ data }: MessageEvent<Message>) => {
    if ("event" in data) return tell(data.event);
    if (data.state === "refused") {
      stopPolling();
      stopPolling = poll();
      return reached(true);
    }
    const unheard = heard.peek() === "lost" || readUnheard;
    heard.value = data.state;
    nowListening();
    if (data.state !== "live" || !unheard) return;
    readUnheard = false;
    tell({ type: "begin", data: {} });
  };
  addEventListener("pagehide", leave);
  addEventListener("pageshow", begin);
  begin();
  return () => {
    removeEventListener("pagehide", leave);
    removeEventListener("pageshow", begin);
    stopPolling();
    leave();
    worker.port.close();
  };
}

function poll(): () => void {
  polling = true;
  nowListening();
  const timer = setInterval(() => document.hidden || tell({ type: "begin", data: {} }), POLL_MILLISECONDS);
  return () => {
    polling = false;
    clearInterval(timer);
  };
}

/** A short name for a token, which says nothing of it. */
function hash(text: string): string {
  let found = 2166136261;
  for (const letter of text) found = Math.imul(found ^ letter.codePointAt(0)!, 16777619);
  return (found >>> 0).toString(36);
}
