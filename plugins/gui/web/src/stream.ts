/** Reads the control plane's stream of events, and comes back to it when it ends. Runs in a worker. */

export interface Told {
  type: string;
  data: { kind?: string; mesh?: string; name?: string; op?: string; state?: string; reason?: string };
}

/** `refused`: the control plane is there, and tells events only to somebody else. */
export type State = "live" | "lost" | "refused";

class Refused extends Error {}

interface Listener {
  told(event: Told): void;
  state(state: State): void;
}

const PATH = "/api/events";
/** The server says something every two seconds: after such a silence it is gone, whatever the connection looks like. */
const SILENCE_MILLISECONDS = 4_500;
const PAUSES_MILLISECONDS = [200, 500, 1_000, 2_000];

/** Follow the stream until `stop`; `headers` hold the credential. */
export async function follow(headers: Record<string, string>, listener: Listener, stop: AbortSignal): Promise<void> {
  let last = "";
  for (let tries = 0; !stop.aborted; tries++) {
    try {
      const given: Record<string, string> = last ? { ...headers, "Last-Event-ID": last } : headers;
      await read(given, stop, (frame) => {
        last = frame.id || last;
        tries = 0;
        listener.state("live");
        if (frame.event) listener.told({ type: frame.event, data: frame.data });
      });
    } catch (error) {
      if (error instanceof Refused && !stop.aborted) return listener.state("refused");
      // Else told by the state: the stream is gone, for whatever reason.
    }
    if (stop.aborted) return;
    listener.state("lost");
    await pause(PAUSES_MILLISECONDS[Math.min(tries, PAUSES_MILLISECONDS.length - 1)]!);
  }
}

function pause(milliseconds: number): Promise<void> {
  return new Promise((done) => setTimeout(done, milliseconds));
}

interface Frame {
  id: string;
  event: string;
  data: Told["data"];
}

async function read(headers: Record<string, string>, stop: AbortSignal, each: (frame: Frame) => void): Promise<void> {
  const silence = new AbortController();
  let timer = setTimeout(() => silence.abort(), SILENCE_MILLISECONDS);
  try {
    const signal = AbortSignal.any([stop, silence.signal]);
    const answer = await fetch(PATH, { headers, signal, cache: "no-store" });
    if (answer.status === 401 || answer.status === 403) throw new Refused();
    if (!answer.ok || !answer.body) throw new Error(`the stream answered ${answer.status}`);
    const frames = new Frames();
    const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE_MILLISECONDS);
      for (const frame of frames.take(value)) each(frame);
    }
  } finally {
    clearTimeout(timer);
  }
}

/** Cuts a text that arrives in pieces into frames; a comment is a frame without an event. */
export class Frames {
  private rest = "";

  take(piece: string): Frame[] {
    const parts = (this.rest + piece).split("\n\n");
    this.rest = parts.pop() ?? "";
    return parts.map(parsed);
  }
}

function parsed(text: string): Frame {
  const frame: Frame = { id: "", event: "", data: {} };
  for (const line of text.split("\n")) {
    const colon = line.indexOf(": ");
    const value = line.slice(colon + 2);
    if (line.startsWith("id:")) frame.id = value;
    if (line.startsWith("event:")) frame.event = value;
    if (line.startsWith("data:")) frame.data = JSON.parse(value) as Told["data"];
  }
  return frame;
}
