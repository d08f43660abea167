/** Somebody's own words, line by line as they came; nothing if there are none. */
export function Words({ of: texts, title, head: Head = "h2" }: { of: string[]; title: string; head?: "h2" | "h3" }) {
  if (!texts.length) return null;
  return (
    <section aria-label={title}>
      <Head>{title}</Head>
      {texts.map((text) => (
        <pre class="words" key={text} tabIndex={0}>
          {text}
        </pre>
      ))}
    </section>
  );
}
