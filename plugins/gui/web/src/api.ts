/** Reads from the REST API, by way of the server that these pages come from. */

import { signal } from "@preact/signals";

const BASE = "/api";
const LONGEST_MILLISECONDS = 15_000;
const KEPT_AS = "kuma.authorization";

export interface Cause {
  field: string;
  message: string;
}

/** What went wrong, in the words of the API. `status` is 0 where there was no answer at all. */
export class ApiError extends Error {
  readonly status: number;
  readonly title: string;
  readonly details: string;
  readonly causes: Cause[];

  constructor(status: number, title: string, details: string, causes: Cause[] = []) {
    super(`${title}: ${details}`);
    this.status = status;
    this.title = title;
    this.details = details;
    this.causes = causes;
  }
}

/** A token that the reader pasted, for this tab alone; empty where the API asks for none. */
export const authorization = signal(sessionStorage.getItem(KEPT_AS) ?? "");

authorization.subscribe((token) => {
  if (token) sessionStorage.setItem(KEPT_AS, token);
  else sessionStorage.removeItem(KEPT_AS);
});

/** The header that goes along with each request. */
export function credential(): Record<string, string> {
  const token = authorization.peek().trim();
  if (!token) return {};
  return { Authorization: token.includes(" ") ? token : `Bearer ${token}` };
}

/** Read a path of the REST API, such as `/meshes`; throws `ApiError`, or an `AbortError` if `signal` ended it. */
export async function get<T>(path: string, { signal }: { signal?: AbortSignal } = {}): Promise<T> {
  const deadline = AbortSignal.timeout(LONGEST_MILLISECONDS);
  const answer = await asked(path, signal ? AbortSignal.any([signal, deadline]) : deadline, signal);
  const text = await answer.text().catch((error: unknown) => {
    throw unreached(error, signal);
  });
  if (!answer.ok) throw refused(answer.status, text);
  try {
    return JSON.parse(text) as T;
  } catch {
    throw new ApiError(answer.status, "The answer cannot be read", `${path} did not answer with JSON`);
  }
}

async function asked(path: string, until: AbortSignal, own?: AbortSignal): Promise<Response> {
  try {
    const headers = { Accept: "application/json", ...credential() };
    return await fetch(BASE + path, { headers, signal: until, cache: "no-store" });
  } catch (error) {
    throw unreached(error, own);
  }
}

/** What the reader left is no error; everything else is the control plane's silence. */
function unreached(error: unknown, own?: AbortSignal): unknown {
  if (own?.aborted) return error;
  const slow = error instanceof DOMException && error.name === "TimeoutError";
  const details = slow ? "it took more than 15 s to answer" : "it does not run, or the network in between does not work";
  return new ApiError(0, "The control plane cannot be reached", details);
}

/** Every error of the API has one shape; what stands in between may answer in another one. */
function refused(status: number, text: string): ApiError {
  try {
    const { title = "", details = "", causes = [] } = JSON.parse(text) as Partial<ApiError>;
    if (title) return new ApiError(status, title, details, causes);
  } catch {
    // no JSON: told below
  }
  return new ApiError(status, "The request failed", `the answer was ${status} without a reason`);
}
