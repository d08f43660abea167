/** JSON data as YAML that `kumactl apply` takes: block style, and quotes where a reader of YAML would see something else. */

// Letters, digits and what means nothing in YAML; `:` and `#` only where they begin neither a value nor a comment.
const PLAIN = /^[A-Za-z_/.][\w./@+ -]*(?::[\w./@+-]+)*$/;
const OTHER_THAN_TEXT = /^(?:true|false|yes|no|on|off|y|n|null|~|\.inf|\.nan|\.)$|^\s|\s$|^\.?\d/i;

export function toYaml(value: unknown): string {
  if (isEmpty(value) || !isBlock(value)) return `${scalar(value)}\n`;
  return `${lines(value).join("\n")}\n`;
}

function isBlock(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function isEmpty(value: unknown): boolean {
  return isBlock(value) && Object.keys(value).length === 0;
}

function lines(value: object): string[] {
  if (Array.isArray(value)) return value.flatMap(entry);
  return Object.entries(value).flatMap(([key, part]) => member(text(key), part));
}

function member(key: string, value: unknown): string[] {
  if (!isBlock(value) || isEmpty(value)) return [`${key}: ${scalar(value)}`];
  return [`${key}:`, ...lines(value).map((line) => (Array.isArray(value) ? line : `  ${line}`))];
}

function entry(value: unknown): string[] {
  if (!isBlock(value) || isEmpty(value)) return [`- ${scalar(value)}`];
  return lines(value).map((line, place) => (place === 0 ? `- ${line}` : `  ${line}`));
}

function scalar(value: unknown): string {
  if (Array.isArray(value)) return "[]";
  if (isBlock(value)) return "{}";
  return typeof value === "string" ? text(value) : JSON.stringify(value);
}

// What YAML takes for the end of a line, or for no text at all, and JSON leaves as it is.
const UNSEEN = /[\u007f-\u009f\u2028\u2029\ufeff]/g;

/** JSON's quotes are YAML's, too, but for some characters. */
function text(value: string): string {
  if (PLAIN.test(value) && !OTHER_THAN_TEXT.test(value)) return value;
  return JSON.stringify(value).replace(UNSEEN, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
