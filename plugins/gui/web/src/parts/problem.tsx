import { useSignal } from "@preact/signals";
import { type ApiError, authorization } from "../api";

/** Nobody showed a credential, or one of somebody who may not. */
const ASKS_WHO = [401, 403];

/** An error in the API's own words, with its causes, and a way to try again. */
export function Problem({ error, retry }: { error: ApiError; retry?: () => void }) {
  return (
    <div class="problem" role="alert">
      <p class="problem-title">{error.title}</p>
      {error.details && <p>{error.details}</p>}
      {error.causes.length > 0 && (
        <ul>
          {error.causes.map((cause) => (
            <li key={cause.field + cause.message}>
              {cause.field && <code>{cause.field}</code>} {cause.message}
            </li>
          ))}
        </ul>
      )}
      {ASKS_WHO.includes(error.status) && <Token />}
      {retry && (
        <button type="button" onClick={retry}>
          Try again
        </button>
      )}
    </div>
  );
}

/** The API asks who reads: a token is kept for this tab alone, and goes nowhere but to the control plane. */
function Token() {
  const typed = useSignal("");
  const take = (event: Event) => {
    event.preventDefault();
    authorization.value = typed.value.trim();
  };
  return (
    <form class="token" onSubmit={take}>
      <label>
        Token
        <input
          type="password"
          autocomplete="off"
          value={typed}
          onInput={(event) => (typed.value = event.currentTarget.value)}
        />
      </label>
      <button type="submit">Use it in this tab</button>
    </form>
  );
}
