/**
 * One for all tabs of an origin: browsers allow six connections to a server, so six tabs with a stream each would leave
 * none for the seventh. The name of the worker holds a hash of the credential: tabs with another one have another worker.
 */

import { follow, type State, type Told } from "./stream";

export type Message = { state: State } | { event: Told };
export type Order = { headers: Record<string, string> } | "leave";

/** TypeScript knows the scope of a shared worker only without that of pages. */
const scope = self as unknown as { onconnect: (event: MessageEvent) => void };

const ports = new Set<MessagePort>();
let running: AbortController | null = null;
let state: State | null = null;

function tell(message: Message): void {
  for (const port of ports) port.postMessage(message);
}

function start(headers: Record<string, string>): void {
  if (running) return;
  running = new AbortController();
  const listener = {
    // A tab knows by the state that the stream began anew.
    told: (event: Told) => void (event.type === "begin" || tell({ event })),
    state: (now: State) => {
      if (now === state) return;
      state = now;
      tell({ state: now });
    },
  };
  void follow(headers, listener, running.signal);
}

function leave(port: MessagePort): void {
  ports.delete(port);
  if (ports.size) return;
  running?.abort();
  running = state = null;
}

scope.onconnect = ({ ports: [port] }) => {
  if (!port) return;
  ports.add(port);
  port.onmessage = ({ data }: MessageEvent<Order>) => {
    if (data === "leave") return leave(port);
    ports.add(port); // a page that comes back from the browser's cache left before
    start(data.headers);
    if (state) port.postMessage({ state } satisfies Message);
  };
};
