import { Copy } from "../parts";

/** A command to copy, and what it is for. */
export function Command({ title, text }: { title: string; text: string }) {
  return (
    <div class="command">
      <p class="beside">
        <span>{title}</span>
        <Copy text={text} />
      </p>
      <pre tabIndex={0} aria-label={title}>
        {text}
      </pre>
    </div>
  );
}
