import { Health } from "../health";
import type { Overview } from "./answers";

/** The badge of a dataplane's status; in brackets where others do not call one that is connected: it joins, or leaves. */
export function Standing({ of: { status, presence } }: { of: Overview }) {
  const connected = status.state === "Online" || status.state === "Degraded";
  const away = connected && presence && presence.state !== "Serving" ? ` (${presence.state.toLowerCase()})` : "";
  return <Health value={status.state} text={status.state + away} />;
}

/** Why others do not call it, as the server says it. */
export function WhyNotCalled({ of: { presence } }: { of: Overview }) {
  return presence?.reason ? <p>{`${presence.state}: ${presence.reason}`}</p> : null;
}
