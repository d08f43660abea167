/** What a resource of a kind may say, as `/openapi.json` describes it: the kinds of plugins are in it, too. */

import { useLive } from "../live";
import { Loaded } from "../parts";

interface Schema {
  type?: string | string[];
  description?: string;
  default?: unknown;
  const?: unknown;
  $ref?: string;
  items?: Schema;
  anyOf?: Schema[];
  enum?: unknown[];
  properties?: Record<string, Schema>;
}

interface Description {
  components: { schemas: Record<string, Schema> };
}

const META = new Set(["type", "name", "mesh"]);

export function Fields({ kind }: { kind: string }) {
  const found = useLive<Description>("/openapi.json", { kinds: [] });
  return <Loaded of={found}>{({ components }) => <FieldList schemas={components.schemas} of={components.schemas[kind]} />}</Loaded>;
}

function FieldList({ schemas, of: schema }: { schemas: Record<string, Schema>; of: Schema | undefined }) {
  const fields = Object.entries(schema?.properties ?? {}).filter(([name]) => !META.has(name));
  return (
    <>
      {schema?.description && <p>{schema.description}</p>}
      {fields.length > 0 && (
        <ul>
          {fields.map(([name, field]) => (
            <li key={name}>
              <code>{name}</code> <span class="quiet">{typeText(field, schemas)}</span>
              {field.default !== undefined && <> , {JSON.stringify(field.default)} if it is left out</>}
              {field.description && <>: {field.description}</>}
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

/** The type in a few words; of an object of its own, the names of its members. */
function typeText(schema: Schema, schemas: Record<string, Schema>): string {
  const own = schema.$ref ? schemas[schema.$ref.split("/").at(-1) ?? ""] : undefined;
  if (own) return own.properties ? `{ ${Object.keys(own.properties).join(", ")} }` : typeText(own, schemas);
  if (schema.enum) return schema.enum.map(String).join(" or ");
  if (schema.anyOf) return schema.anyOf.filter((one) => one.type !== "null").map((one) => typeText(one, schemas)).join(" or ");
  if (schema.type === "array" && schema.items) return `list of ${typeText(schema.items, schemas)}`;
  return [schema.type ?? "anything"].flat().filter((type) => type !== "null").join(" or ");
}
