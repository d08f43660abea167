import { useSignal } from "@preact/signals";

const SHOWN_MILLISECONDS = 2_000;

/** A button that puts a text on the clipboard. */
export function Copy({ text, label = "Copy" }: { text: string; label?: string }) {
  const said = useSignal("");
  const copy = async () => {
    said.value = (await copied(text)) ? "Copied" : "Select the text and copy it by hand";
    setTimeout(() => (said.value = ""), SHOWN_MILLISECONDS);
  };
  return (
    <span class="copy">
      <button type="button" class="small" onClick={copy}>
        {label}
      </button>
      <span role="status">{said}</span>
    </span>
  );
}

/** Browsers give the clipboard to HTTPS and to localhost alone; elsewhere the old way still works. */
async function copied(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return byHand(text);
  }
}

function byHand(text: string): boolean {
  const field = Object.assign(document.createElement("textarea"), { value: text });
  document.body.append(field);
  field.select();
  const done = document.execCommand("copy");
  field.remove();
  return done;
}
